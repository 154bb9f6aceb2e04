package state

// steps are the schema, step by step. A step that was released is never changed: machines in the
// field have taken it. The number of steps taken is the file's user_version.
var steps = []string{
	// 1: the beginning.
	`
CREATE TABLE singles   (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE settings  (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE docs      (id BLOB PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE reports   (machine TEXT PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL, contact_at INTEGER NOT NULL, body BLOB) STRICT;
CREATE TABLE outbox    (machine TEXT PRIMARY KEY, seq INTEGER NOT NULL, turn INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE INDEX outbox_turn ON outbox(turn);
CREATE TABLE journal   (id INTEGER PRIMARY KEY, "update" TEXT NOT NULL, revision INTEGER NOT NULL, step TEXT NOT NULL,
                        begun_at INTEGER NOT NULL, at INTEGER NOT NULL, open INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX journal_open ON journal("update", revision) WHERE open = 1;
CREATE TABLE catalogue ("update" TEXT NOT NULL, revision INTEGER NOT NULL, descriptor BLOB NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL,
                        PRIMARY KEY ("update", revision)) STRICT;
CREATE TABLE groups    (name TEXT PRIMARY KEY, parent TEXT NOT NULL) STRICT;
CREATE TABLE tokens    (hash BLOB PRIMARY KEY, site TEXT NOT NULL, groups TEXT NOT NULL, uses_left INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT;
CREATE TABLE token_uses(hash BLOB NOT NULL REFERENCES tokens(hash) ON DELETE CASCADE, machine TEXT NOT NULL, at INTEGER NOT NULL,
                        PRIMARY KEY (hash, machine)) STRICT;
CREATE TABLE members   (id TEXT PRIMARY KEY, name TEXT NOT NULL, site TEXT NOT NULL, groups TEXT NOT NULL, serial INTEGER NOT NULL,
                        not_after INTEGER NOT NULL, joined_at INTEGER NOT NULL) STRICT;
CREATE TABLE serials   (last INTEGER NOT NULL) STRICT;
INSERT INTO serials VALUES (0);
CREATE TABLE peers     (id TEXT NOT NULL, addr TEXT NOT NULL, seen_at INTEGER NOT NULL, PRIMARY KEY (id, addr)) STRICT;
CREATE INDEX peers_seen ON peers(seen_at);
`,
	// enrolment: tokens that need an admin's word, renewals, machines that were set up anew.
	`
ALTER TABLE tokens  ADD COLUMN approve      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens  ADD COLUMN name_pattern TEXT    NOT NULL DEFAULT '';
ALTER TABLE members ADD COLUMN not_before   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN replaces     TEXT    NOT NULL DEFAULT '';
ALTER TABLE members ADD COLUMN replaced_by  TEXT    NOT NULL DEFAULT '';
ALTER TABLE members ADD COLUMN replaced_at  INTEGER NOT NULL DEFAULT 0;
CREATE INDEX members_name ON members(name COLLATE NOCASE);
CREATE TABLE hardware  (machine TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (machine, kind)) STRICT;
CREATE INDEX hardware_id ON hardware(id);
CREATE TABLE requests  (token BLOB NOT NULL REFERENCES tokens(hash) ON DELETE CASCADE, machine TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
                        name TEXT NOT NULL, hardware TEXT NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL, decided_at INTEGER NOT NULL,
                        PRIMARY KEY (token, machine)) STRICT;
`,
	// traffic: what moved where, by day.
	`
CREATE TABLE traffic   (machine TEXT NOT NULL, "update" TEXT NOT NULL, tier TEXT NOT NULL, day TEXT NOT NULL, site TEXT NOT NULL,
                        bytes INTEGER NOT NULL, PRIMARY KEY (machine, "update", tier, day)) STRICT, WITHOUT ROWID;
`,
	// events: what happened on this machine, for people.
	`
CREATE TABLE events    (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, "update" TEXT NOT NULL, state TEXT NOT NULL,
                        reason TEXT NOT NULL, peer TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE INDEX events_kind ON events(kind, id);
`,
	// syncs: when the approvals were brought up to date here, and by whom.
	`
CREATE TABLE syncs     (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, took_ms INTEGER NOT NULL, how TEXT NOT NULL, "from" TEXT NOT NULL,
                        head_was INTEGER NOT NULL, head INTEGER NOT NULL, epoch_was INTEGER NOT NULL, epoch INTEGER NOT NULL,
                        added INTEGER NOT NULL, changed INTEGER NOT NULL, removed INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
                        times INTEGER NOT NULL) STRICT;
`,
	// receipts: who has signed for which bytes. n grows with every change, so that others can ask for what is new.
	`
CREATE TABLE receipts  (n INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, peer TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
                        settled INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX receipts_key ON receipts(owner, peer, seq);
CREATE INDEX receipts_at ON receipts(owner, at);
CREATE INDEX receipts_old ON receipts(at, n);
`,
}
