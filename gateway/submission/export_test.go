package submission

// Remembered counts the sources whose failures a Handler remembers.
func Remembered(h *Handler) int {
	h.failures().mu.Lock()
	defer h.failures().mu.Unlock()
	return len(h.failures().sources)
}
