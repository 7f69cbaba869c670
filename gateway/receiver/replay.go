package receiver

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"
)

// ReplayMemory remembers messages so that none is delivered twice (IS-RECV-10). The in-process one is
// NewReplayMemory; the shared one comes with the queue.
type ReplayMemory interface {
	// Begin claims key for a delivery. See State.
	Begin(ctx context.Context, claim Claim) (State, error)
	// Finish records the answer of a claimed delivery (nil: remember without an answer, free/busy).
	Finish(ctx context.Context, claim Claim, answer []byte) error
	// Abandon releases a claim whose delivery did not happen, so that a repeat runs again.
	Abandon(ctx context.Context, claim Claim) error
}

// Claim identifies one message.
type Claim struct {
	Key       string        // hash by IS-RECV-10
	MessageID string        // d= and signed Message-ID, "" when unsigned: the same one with another Key is refused
	Keep      time.Time     // until when it must be remembered
	Lease     time.Duration // how long one run may take
}

// State is what Begin found.
type State struct {
	Status Status
	Answer []byte // Finished: the recorded answer, nil for free/busy
}

// Status of a claim.
type Status int

// The states of a claim.
const (
	Fresh      Status = iota // claimed: deliver, then Finish or Abandon
	InProgress               // another delivery holds it: 503
	Finished                 // done before: the recorded answer
	Conflict                 // same Message-ID, another message: 403
)

// ErrReplayFull is Begin's error when the memory holds as much as it may and nothing of it has expired. It never
// forgets early: a message that cannot be remembered is not delivered.
var ErrReplayFull = errors.New("replay memory is full")

// ReplayOptions of NewReplayMemory.
type ReplayOptions struct {
	MaxEntries int              // 0 = 500 000
	MaxBytes   int64            // answers, ids and bookkeeping; 0 = 256 MiB
	Now        func() time.Time // nil = time.Now
}

// memory is the in-process ReplayMemory: exact, bounded, forgotten at exit. It expires lazily.
type memory struct {
	opt ReplayOptions

	mu     sync.Mutex
	byKey  map[string]*entry
	byID   map[string]*entry
	expiry expiryHeap
	bytes  int64
}

// entry is one remembered message.
type entry struct {
	key, messageID string
	keep           time.Time
	leased         time.Time // when the running delivery loses its claim; zero when finished
	answer         []byte
	index          int // in the expiry heap
}

// entryOverhead is what an entry costs beside its strings and answer: the struct, two map slots, the heap slot.
const entryOverhead = 320

func (e *entry) size() int64 {
	return int64(len(e.key)+len(e.messageID)+len(e.answer)) + entryOverhead
}

// NewReplayMemory makes an in-process ReplayMemory. It starts no goroutine.
func NewReplayMemory(opt ReplayOptions) ReplayMemory { return newMemory(opt) }

func newMemory(opt ReplayOptions) *memory {
	if opt.MaxEntries <= 0 {
		opt.MaxEntries = 500_000
	}
	if opt.MaxBytes <= 0 {
		opt.MaxBytes = 256 << 20
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &memory{opt: opt, byKey: map[string]*entry{}, byID: map[string]*entry{}}
}

// Begin implements ReplayMemory.
func (m *memory) Begin(_ context.Context, c Claim) (State, error) {
	now := m.opt.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	if e, ok := m.byKey[c.Key]; ok {
		switch {
		case e.leased.IsZero():
			return State{Status: Finished, Answer: e.answer}, nil
		case now.Before(e.leased):
			return State{Status: InProgress}, nil
		}
		e.leased = now.Add(c.Lease) // the run that held it is lost: run again
		if e.keep.Before(e.leased) {
			e.keep = e.leased
			heap.Fix(&m.expiry, e.index)
		}
		return State{Status: Fresh}, nil
	}
	if c.MessageID != "" && m.byID[c.MessageID] != nil {
		return State{Status: Conflict}, nil
	}
	e := &entry{key: c.Key, messageID: c.MessageID, keep: c.Keep, leased: now.Add(c.Lease)}
	if e.keep.Before(e.leased) {
		e.keep = e.leased
	}
	if len(m.byKey) >= m.opt.MaxEntries || m.bytes+e.size() > m.opt.MaxBytes {
		return State{}, ErrReplayFull
	}
	m.byKey[e.key] = e
	if e.messageID != "" {
		m.byID[e.messageID] = e
	}
	m.bytes += e.size()
	heap.Push(&m.expiry, e)
	return State{Status: Fresh}, nil
}

// Finish implements ReplayMemory. The answer is taken even over MaxBytes: what was delivered must be remembered,
// and the next Begin sees the memory full.
func (m *memory) Finish(_ context.Context, c Claim, answer []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byKey[c.Key]
	if !ok {
		return nil // expired meanwhile: the signature is no longer accepted either
	}
	m.bytes -= e.size()
	e.answer, e.leased = bytes.Clone(answer), time.Time{} // not what its buffer has room for: that is not counted
	m.bytes += e.size()
	return nil
}

// Abandon implements ReplayMemory.
func (m *memory) Abandon(_ context.Context, c Claim) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.byKey[c.Key]; ok && !e.leased.IsZero() {
		m.forget(e)
	}
	return nil
}

// used is how full the memory is, from 0 to 1: by entries or by bytes, whichever is nearer to its bound.
func (m *memory) used() float64 {
	now := m.opt.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(now)
	return min(1, max(float64(len(m.byKey))/float64(m.opt.MaxEntries), float64(m.bytes)/float64(m.opt.MaxBytes))) // Finish may take more
}

// expire forgets what nobody can send again.
func (m *memory) expire(now time.Time) {
	for len(m.expiry) > 0 && now.After(m.expiry[0].keep) {
		m.forget(m.expiry[0])
	}
}

func (m *memory) forget(e *entry) {
	heap.Remove(&m.expiry, e.index)
	delete(m.byKey, e.key)
	if e.messageID != "" {
		delete(m.byID, e.messageID)
	}
	m.bytes -= e.size()
}

// expiryHeap orders entries by Keep.
type expiryHeap []*entry

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].keep.Before(h[j].keep) }
func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *expiryHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *expiryHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
