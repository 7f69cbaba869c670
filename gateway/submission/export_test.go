package submission

import (
	"crypto/sha256"
	"time"
)

// Remembered counts the sources whose failures a Handler remembers.
func Remembered(h *Handler) int {
	h.failures().mu.Lock()
	defer h.failures().mu.Unlock()
	return len(h.failures().sources)
}

const MaxUsed = maxUsed

// Memory is a memory of signatures.
type Memory struct{ used usedSignatures }

func NewMemory() *Memory { return &Memory{} }

// First says whether key is new to the memory.
func (m *Memory) First(key string, until, now time.Time) bool {
	claim, _ := m.used.first(sha256.Sum256([]byte(key)), until, now)
	return claim == claimed
}

func (m *Memory) Len() int { return len(m.used.known) }
