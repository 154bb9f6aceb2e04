package main

// ruleLanguage is how the files of --applicable, --installed and --probe are written. Its examples are parsed by a test.
const ruleLanguage = `
Rules (--applicable, --installed, --probe) are files in JSON. Machines evaluate them by looking at themselves, offline;
what cannot be found out is neither yes nor no, and then nothing is installed. Each node has exactly one of these:
  "all": [RULE, ...]     every one; "any": [RULE, ...]  at least one; "not": RULE
  "os": {"name": linux|windows|darwin, "distribution": ID of os-release, "version": RANGE}
  "arch": ["amd64", ...] one of these
  "file": {"path": "/...", "sha256": HEX, "version": {"after": TEXT, and a RANGE}}   it exists, and what else is said fits
  "package": {"system": "deb"|"rpm", "name": NAME, "version": RANGE}                 it is installed
  "registry": {"key": "HKLM\\...", "name": NAME, "equal": TEXT, "version": RANGE}     Windows
  "command": {"args": ["/path", ...], "timeout_seconds": 1..300, "exit": [0]}         no shell; these codes say yes
RANGE is "at_least", "below" or "equal", in the order of Debian's versions (of RPM's for rpm); at most 8 deep, 128 nodes.
  {"os": {"name": "linux", "distribution": "debian", "version": {"at_least": "12", "below": "13"}}}
  {"all": [{"package": {"system": "deb", "name": "openssl", "version": {"below": "3.0.15-1"}}}, {"not": {"file": {"path": "/etc/no-updates"}}}]}
  {"file": {"path": "/opt/app/VERSION", "version": {"after": "version=", "at_least": "2.1"}}}
  {"registry": {"key": "HKLM\\SOFTWARE\\Vendor\\App", "name": "Version", "version": {"at_least": "2.1.0"}}}
  {"command": {"args": ["/usr/bin/systemctl", "is-active", "nginx"], "timeout_seconds": 10, "exit": [0]}}
`
