package wire

import (
	"bufio"
	"bytes"
	"testing"

	"patchmesh/content"
)

// BenchmarkChunkFrames writes and reads the question and the answer around one chunk.
func BenchmarkChunkFrames(b *testing.B) {
	ask, answer := Ask{Req: 7, Payload: content.Sum([]byte("payload")), Index: 3}, make([]byte, AnswerBytes)
	var frames []byte
	var in bytes.Reader
	r := bufio.NewReader(&in)
	b.ReportAllocs()
	for b.Loop() {
		PutAnswer(answer, Answer{Req: 7, Length: content.MaxChunkBytes})
		frames = append(AppendAsk(frames[:0], ask), answer...)
		in.Reset(frames)
		r.Reset(&in)
		if _, err := ReadQuestion(r); err != nil {
			b.Fatal(err)
		}
		if _, err := ReadAnswer(r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGained writes and reads the message by which a machine tells of new chunks.
func BenchmarkGained(b *testing.B) {
	told := Gained{Payload: content.Sum([]byte("payload")), Indexes: []int{1, 5, 70, 200}}
	var frame []byte
	for b.Loop() {
		var err error
		if frame, err = Encode(frame[:0], told); err != nil {
			b.Fatal(err)
		}
		if _, err := Decode(frame); err != nil {
			b.Fatal(err)
		}
	}
}
