package bounded

// FollowAll calls each Follow with fn and returns the stop of all of them. If one panics,
// those before it are stopped, and none is followed. A nil stop is passed over.
func FollowAll[V any](fn func(V), follows ...func(fn func(V)) (stop func())) (stop func()) {
	var stops []func()
	stopAll := func() {
		for _, stop := range stops {
			if stop != nil {
				stop()
			}
		}
	}
	defer func() {
		if stop == nil {
			stopAll()
		}
	}()
	for _, follow := range follows {
		stops = append(stops, follow(fn))
	}
	return stopAll
}
