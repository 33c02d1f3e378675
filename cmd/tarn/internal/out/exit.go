// SPDX-License-Identifier: Apache-2.0

// Package out is what the command line answers with: tables or one JSON document on the standard output, a sentence and a hint on the
// standard error, and an exit status. Nothing but data goes to the standard output.
package out

import "github.com/tarn-storage/tarn/go/errno"

// The exit statuses.
const (
	ExitOK          = 0
	ExitOther       = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitExists      = 4
	ExitPermission  = 5
	ExitBusy        = 6
	ExitNoSpace     = 7
	ExitCorruption  = 8
	ExitUnreachable = 9
	ExitInterrupted = 130
)

// exits groups the codes by what a script would do about them. A code that is not here exits with ExitOther.
var exits = map[int][]errno.Code{
	ExitUsage:       {errno.Inval, errno.BadPath, errno.NotDir, errno.NoType, errno.Key2Big, errno.Rec2Big, errno.IOInval},
	ExitNotFound:    {errno.NonExist, errno.NoEntry, errno.ContNonExist},
	ExitExists:      {errno.Exist, errno.Already},
	ExitPermission:  {errno.NoPerm, errno.OpNotPermitted, errno.EPRO, errno.NoCert, errno.BadCert},
	ExitNoSpace:     {errno.NoSpace, errno.QuotaLimit},
	ExitCorruption:  {errno.Csum, errno.DataLoss, errno.RF, errno.DFInval},
	ExitUnreachable: {errno.Unreach, errno.HG, errno.TimedOut, errno.Shutdown, errno.NoService},
	ExitInterrupted: {errno.Canceled, errno.OpCanceled},
	ExitBusy: {errno.Busy, errno.Again, errno.InProgress, errno.EQBusy, errno.Stale, errno.TXRestart, errno.TXBusy, errno.TXIDReused,
		errno.UpdateAgain, errno.ChkptBusy, errno.OverloadRetry, errno.ContDestroying, errno.DOS, errno.NotLeader},
}

// Exit is the exit status of an error.
func Exit(err error) int {
	if err == nil {
		return ExitOK
	}
	code := errno.CodeOf(err)
	for exit, codes := range exits {
		for _, c := range codes {
			if c == code {
				return exit
			}
		}
	}
	return ExitOther
}
