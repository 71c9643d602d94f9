package bounded

// StopAll returns the stop of several Follows. It passes over a nil one, which an
// implementation may have returned.
func StopAll(stops []func()) (stop func()) {
	return func() {
		for _, stop := range stops {
			if stop != nil {
				stop()
			}
		}
	}
}
