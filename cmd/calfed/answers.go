package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/calfed/calfed/gateway"
)

// answerKeeper keeps over a restart which invitations are watched for answers.
type answerKeeper struct {
	gateway *gateway.Gateway
	dir     stateDir
	log     *slog.Logger
}

// load takes them up. Without it they are known anew as their organizers change them.
func (k answerKeeper) load() {
	data, err := k.dir.answers()
	if err == nil && data != nil {
		err = k.gateway.LoadAnswers(data)
	}
	if err != nil {
		k.log.Error("the invitations that were watched for answers are forgotten", "error", err)
	}
}

func (k answerKeeper) save() {
	if err := k.gateway.SaveAnswers(k.dir.saveAnswers); err != nil {
		k.log.Error("the invitations that are watched for answers cannot be kept for the next start", "error", err)
	}
}

// keep saves them once a minute.
func (k answerKeeper) keep(ctx context.Context) {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			k.save()
		}
	}
}
