package discovery_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/calfed/calfed/gateway/discovery"
)

// Proves: IS-CAP-5
func TestAFetchThatIsGivenUpIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f discovery.Flights
		fetches := 0
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() {
			_, err := f.Do(ctx, "k", func() (int, error) {
				fetches++
				<-ctx.Done()
				return 0, ctx.Err()
			})
			first <- err
		}()
		synctest.Wait()
		others := make(chan int, 3)
		for range cap(others) {
			go func() {
				n, err := f.Do(t.Context(), "k", func() (int, error) { fetches++; return fetches, nil })
				if err != nil {
					t.Error(err)
				}
				others <- n
			}()
		}
		gone, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := f.Do(gone, "k", nil)
			left <- err
		}()
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who stops waiting: %v", err)
		}
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up: %v", err)
		}
		for range cap(others) {
			if n := <-others; n < 2 {
				t.Errorf("a waiter got fetch %d", n)
			}
		}
	})
}

func TestAFetchThatFailsFailsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f discovery.Flights
		open, down := make(chan struct{}), errors.New("down")
		results := make(chan error, 3)
		fetches := 0
		for range cap(results) {
			go func() {
				_, err := f.Do(t.Context(), "k", func() (int, error) { fetches++; <-open; return 0, down })
				results <- err
			}()
		}
		synctest.Wait()
		close(open)
		for range cap(results) {
			if err := <-results; !errors.Is(err, down) {
				t.Errorf("err = %v", err)
			}
		}
		if fetches != 1 {
			t.Errorf("%d fetches, want one", fetches)
		}
	})
}
