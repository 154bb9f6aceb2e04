package install

import (
	"context"
	"errors"
	"io"
	"os"
	"unicode/utf16"
)

// codeMeaning is what an exit code says.
type codeMeaning struct {
	ok      bool
	restart bool
	reason  string // of a failure
	text    string
}

// msiCodes are the exit codes of msiexec that say more than "failed" (Microsoft, "MsiExec.exe and
// InstMsi.exe error messages").
var msiCodes = map[int]codeMeaning{
	0:    {ok: true},
	1602: {reason: ReasonDenied, text: "somebody has cancelled it"},
	1603: {reason: ReasonExit, text: "a fatal error; its log tells which"},
	1605: {reason: ReasonUndetected, text: "this product is not installed"},
	1612: {reason: ReasonMissing, text: "the source of the product is gone"},
	1618: {reason: ReasonLocked, text: "another installation is under way"},
	1619: {reason: ReasonExit, text: "the package could not be opened"},
	1620: {reason: ReasonExit, text: "it is no Windows Installer package"},
	1624: {reason: ReasonExit, text: "a transform could not be applied"},
	1625: {reason: ReasonDenied, text: "a policy of the system forbids it"},
	1633: {reason: "compat-arch", text: "it is for another processor architecture"},
	1638: {reason: ReasonExit, text: "another version of the product is installed"},
	1641: {ok: true, restart: true, text: "it has begun a restart"},
	3010: {ok: true, restart: true, text: "it is complete after a restart"},
	112:  {reason: ReasonDiskShort, text: "the disk is full"},
	5:    {reason: ReasonDenied, text: "access denied"},
}

// msuCodes are those of wusa, which ends with the code of the update service.
var msuCodes = map[int]codeMeaning{
	0:           {ok: true},
	3010:        {ok: true, restart: true, text: "it is complete after a restart"},
	1641:        {ok: true, restart: true, text: "it has begun a restart"},
	0x00240005:  {ok: true, restart: true, text: "it is complete after a restart"},
	0x00240006:  {ok: true, text: "it is installed already"},
	-2145124329: {reason: "compat-edition", text: "it is not for this machine"},                       // 0x80240017
	-2145124330: {reason: ReasonLocked, text: "another installation is under way"},                    // 0x80240016
	-2147024784: {reason: ReasonDiskShort, text: "the disk is full"},                                  // 0x80070070
	-2147024891: {reason: ReasonDenied, text: "access denied"},                                        // 0x80070005
	-2146498530: {reason: "compat-edition", text: "the component store says that it is not for this"}, // 0x800F081E
	-2146498529: {reason: ReasonMissing, text: "the component store lacks a source file"},             // 0x800F081F
	1058:        {reason: ReasonDenied, text: "the update service is switched off"},
	5:           {reason: ReasonDenied, text: "access denied"},
}

// runWindows runs a tool of Windows and reads its exit code; what is there afterwards counts as much.
func runWindows(ctx context.Context, j Job, r msiRun, codes map[int]codeMeaning, want bool, look func() (Detection, error)) (Result, error) {
	code, output, err := runWindowsTool(ctx, j, r)
	code = int(int32(uint32(code))) // codes with the high bit set are told as large numbers
	log := output
	if text := readLog(msiLog(j)); len(text) > 0 {
		log = text
	}
	_ = os.Remove(msiLog(j)) // its end is kept in the answer
	res := Result{Changed: true, ExitCode: code, Log: tail(log)}
	fail := func(reason string, err error) (Result, error) {
		e := failed(reason, err, "%s for %s", r.tool, j.Spec.Update)
		e.ExitCode, e.Log = code, res.Log
		return Result{}, e
	}
	if err != nil {
		var own *Error
		switch {
		case errors.As(err, &own):
			return Result{}, err
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			return fail(ReasonTimeout, err)
		}
		return fail(ReasonExit, err)
	}
	means, known := codes[code]
	if !known {
		means = codeMeaning{reason: ReasonExit, text: "an exit code that is not known"}
	}
	after, err := look()
	if err != nil {
		return Result{}, err
	}
	res.Version, res.RestartNeeded = after.Version, means.restart
	switch {
	case after.Present == want && (means.ok || known && !want): // removed what was not there any more
		return res, nil
	case means.ok && means.restart:
		return res, nil
	case means.ok:
		return fail(ReasonUndetected, errors.New("the tool was content, but the machine does not show it"))
	}
	return fail(means.reason, errors.New(means.text))
}

// maxToolLog is how much of a log is looked at, from its end.
const maxToolLog = 64 << 10

// readLog reads the end of a log; msiexec writes UTF-16.
func readLog(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var mark [2]byte
	wide := false
	if _, err := io.ReadFull(f, mark[:]); err == nil {
		wide = mark == [2]byte{0xff, 0xfe}
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil
	}
	from := max(0, size-maxToolLog)
	from += from % 2
	b := make([]byte, size-from)
	n, err := f.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	if b = b[:n]; !wide {
		return b
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
	}
	return []byte(string(utf16.Decode(units)))
}
