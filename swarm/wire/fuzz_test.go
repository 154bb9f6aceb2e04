package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"testing"
)

// What decodes must encode back to the same bytes: there are no two encodings of one message.
func FuzzDecode(f *testing.F) {
	for _, s := range samples {
		b, _ := hex.DecodeString(s.bytes)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Encode(nil, m)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x decodes to %+v, which encodes to %x, %v", b, m, again, err)
		}
		if read, err := ReadMessage(bufio.NewReader(bytes.NewReader(b))); err != nil || read.Kind() != m.Kind() {
			t.Fatalf("%x: read as %+v, %v", b, read, err)
		}
	})
}

func FuzzReadMessage(f *testing.F) {
	for _, s := range samples {
		b, _ := hex.DecodeString(s.bytes)
		f.Add(append(b, b...))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(b), 16)
		for {
			if _, err := ReadMessage(r); err != nil {
				return
			}
		}
	})
}

func FuzzChunkStream(f *testing.F) {
	answer := make([]byte, AnswerBytes)
	PutAnswer(answer, Answer{Req: 1, Status: StatusOK, Length: 1})
	f.Add(AppendCancel(AppendAsk(nil, Ask{Req: 1, Payload: someID, Index: 2}), Cancel{Req: 1}), answer)
	f.Fuzz(func(t *testing.T, questions, answers []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(questions), 64)
		for {
			if _, err := ReadQuestion(r); err != nil {
				break
			}
		}
		a, err := ReadAnswer(bufio.NewReader(bytes.NewReader(answers)))
		if err != nil {
			return
		}
		again := make([]byte, AnswerBytes)
		if PutAnswer(again, a); !bytes.Equal(again, answers[:AnswerBytes]) {
			t.Fatalf("%x became %x", answers, again)
		}
	})
}

func FuzzDocAndEnrol(f *testing.F) {
	ask, _ := AppendDocAsk(nil, DocAsk{Kind: DocContent, ID: someID, MaxBytes: 10})
	f.Add(ask)
	f.Add([]byte{0, 0, 0, 1, 'x'})
	f.Add([]byte{1, 0, 0, 0, 1, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := ReadDocAsk(bytes.NewReader(b)); err == nil {
			if again, err := AppendDocAsk(nil, a); err != nil || !bytes.Equal(again, b[:DocAskBytes]) {
				t.Fatalf("%x became %x, %v", b, again, err)
			}
		}
		_, _ = ReadDocAnswer(bytes.NewReader(b), 100)
		_, _ = ReadEnrolRequest(bytes.NewReader(b))
		_, _, _, _ = ReadEnrolAnswer(bytes.NewReader(b))
	})
}

func FuzzDecodeRumour(f *testing.F) {
	b, _ := EncodeRumour(Rumour{Site: "hq", Timestamp: []byte("ts")})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRumour(b)
		if err != nil {
			return
		}
		if again, err := EncodeRumour(r); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x, %v", b, again, err)
		}
	})
}
