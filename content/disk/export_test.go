package disk

import "os"

// System lets tests see operations fail, count them or die at one.
type System struct {
	WriteAt func(f *os.File, b []byte, at int64) (int, error)
	Sync    func(f *os.File) error
	Rename  func(from, to string) error
	Remove  func(path string) error
	Space   func(dir string) (freeBytes, totalBytes int64, err error)
}

// OpenWith opens a store on a system; nil functions are the real ones.
func OpenWith(dir string, opt Options, o System) (*Store, error) {
	sys := realSystem()
	if o.WriteAt != nil {
		sys.writeAt = o.WriteAt
	}
	if o.Sync != nil {
		sys.sync = o.Sync
	}
	if o.Rename != nil {
		sys.rename = o.Rename
	}
	if o.Remove != nil {
		sys.remove = o.Remove
	}
	if o.Space != nil {
		sys.space = o.Space
	}
	return openWith(dir, opt, sys)
}

// Abandon gives the folder back without saving, as a killed process does.
func (s *Store) Abandon() error {
	for _, p := range s.all() {
		p.step.Lock()
		p.io.Lock()
		p.phase = gone
		_ = s.files.retire(p)
		p.io.Unlock()
		p.step.Unlock()
	}
	return s.lock.Unlock()
}

// Dir is the store's folder.
func (s *Store) Dir() string { return s.dir }

// OpenFiles is how many payloads have open files.
func (s *Store) OpenFiles() int {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	return len(s.files.open)
}

// For fuzzing.
var (
	EncodeHave = encodeHave
	DecodeHave = decodeHave
	ParseName  = parseName
)
