package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

const doctorLong = `Looks at this machine's way from the mail server to dnsblproxy and from there to
the lists, and says what is wrong and which line to change. The exit status is 1
if anything is.`

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "look for what is wrong on this machine",
		Long:  doctorLong,
		Args:  noArgs,
		RunE:  a.does(a.doctor),
	}
}

func (a *app) doctor(context.Context, []string) error {
	return errors.New("doctor: not part of this build")
}
