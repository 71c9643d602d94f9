package ws

import "github.com/securews/securews/internal/buffer"

// waiting are finished frames in the order of their writes: first, if there is one, then those of frames,
// which is pooled memory, with each of shared before the byte of frames at which it came.
type waiting struct {
	first  *frame
	frames *[]byte
	shared []sharedFrame
}

// frame is a finished frame of a Group, which many queues hold. It does not change.
type frame struct {
	b       []byte
	payload int
}

type sharedFrame struct {
	*frame
	at int // in waiting.frames
}

// maxCopied is the size up to which a frame of a Group is copied behind others that wait, so that
// several go out in one write.
const maxCopied = 512

func (w *waiting) empty() bool { return w.first == nil && w.frames == nil && w.shared == nil }

// own returns frames, which it makes if there are none.
func (w *waiting) own() *[]byte {
	if w.frames == nil {
		w.frames = buffer.Get()
	}
	return w.frames
}

// share adds a frame of a Group.
func (w *waiting) share(f *frame) {
	switch {
	case w.empty():
		w.first = f
	case len(f.b) <= maxCopied:
		b := w.own()
		*b = append(*b, f.b...)
	case w.frames == nil:
		w.shared = append(w.shared, sharedFrame{f, 0})
	default:
		w.shared = append(w.shared, sharedFrame{f, len(*w.frames)})
	}
}
