/* SPDX-License-Identifier: Apache-2.0 */
/* test/scripts.h: the workloads that are run with every one of their I/Os and allocations failing. script.h says what the words mean. */
#ifndef TARN_SCRIPTS_H
#define TARN_SCRIPTS_H

struct workload {
	unsigned    cache_kib, log_kib;
	const char *text;
};

static const struct workload workloads[] = {
	/* one thing at a time */
	{ 128, 64, "" },
	{ 128, 64, "put 1 100" },
	{ 128, 64, "put 1 0; put 1 5000; put 1 20; del 1" },
	{ 128, 64, "put 1 100; reopen; get 1" },
	{ 128, 64, "put 1 100; crash; get 1; put 2 10; crash; verify" },
	{ 128, 64, "lazy 1 10; lazy 2 20; lazy 3 30; sync" },
	{ 128, 64, "lazy 1 10; lazy 2 9000; reopen; verify" },
	{ 128, 64, "new 1 10; new 1 20; del 1; new 1 30" },
	{ 128, 64, "batch 0 60 100; batchdel 10 50; list" },
	{ 128, 64, "batch 0 200 30; checkpoint; list; many 20; check" },
	{ 128, 64, "put 1 9000; checkpoint; get 1; del 1; checkpoint; check" },
	{ 128, 64, "value 1 70000; get 1; value 1 100000; checkpoint; del 1; checkpoint" },
	{ 128, 64, "value 7 200000; crash; get 7; hold 7; release" },
	{ 128, 64, "put 1 40000; hold 1; del 1; checkpoint; checkpoint; release; checkpoint; check" },
	{ 128, 64, "put 1 40000; hold 1; put 1 50000; reopen; verify" },
	{ 128, 64, "checkpoint; checkpoint; reopen; reopen" },
	{ 128, 64, "batch 0 90 80; scrub; checkpoint; scrub; check" },
	/* trees */
	{ 128, 64, "put 1 10; tree 1; put 1 20; tree 2; put 1 30; tree 3; put 1 40; verify; reopen; verify" },
	{ 128, 64, "batch 0 100 60; drop; checkpoint; batch 0 100 61; drop; verify; check" },
	{ 128, 64, "batch 0 100 60; tree 1; batch 0 50 60; checkpoint; tree 0; drop; crash; verify; check" },
	{ 128, 64, "batch 0 60 3000; checkpoint; drop; checkpoint; reopen; check" },
	{ 128, 64, "drop; put 5 50; drop; put 5 51; checkpoint; drop; checkpoint" },
	/* snapshots */
	{ 128, 64, "snap; put 1 10; snap; verify" },
	{ 128, 64, "batch 0 80 50; snap; batch 0 80 51; verify; unsnap 0; checkpoint; check" },
	{ 128, 64, "batch 0 80 50; snap; checkpoint; batchdel 0 80; checkpoint; verify; unsnap 0; checkpoint; check" },
	{ 128, 64, "put 1 9000; snap; put 1 9001; snap; put 1 9002; unsnap 0; checkpoint; verify; unsnap 0; checkpoint; check" },
	{ 128, 64, "batch 0 40 90; snap; batch 40 80 90; snap; batch 0 40 91; snap; unsnap 1; crash; verify; check" },
	{ 128, 64, "put 1 30; snap; drop; checkpoint; put 1 31; snap; reopen; verify; check" },
	{ 128, 64, "batch 0 90 200; snap; drop; batch 0 90 201; snap; checkpoint; unsnap 0; reopen; verify" },
	{ 128, 64, "snap; snap; snap; unsnap 1; unsnap 1; unsnap 0; checkpoint; check" },
	{ 128, 64, "batch 0 50 100; snap; reopen; batch 0 50 101; snap; reopen; unsnap 0; reopen; verify; check" },
	{ 128, 64, "put 9 60000; snap; hold 9; del 9; unsnap 0; checkpoint; release; checkpoint; check" },
	{ 128, 64, "batch 0 30 40; snap; crash; unsnap 0; crash; snap; batch 0 30 41; crash; verify; check" },
	{ 128, 64,
	  "tree 1; batch 0 70 70; snap; tree 2; batch 0 70 71; snap; checkpoint; tree 1; drop; checkpoint; scrub; verify" },
	/* many pages, and a cache that does not hold them */
	{ 96, 256, "batch 0 100 400; batch 100 200 400; batch 200 300 400; list; checkpoint; batch 50 150 401; list; check" },
	{ 96, 256,
	  "batch 0 100 500; checkpoint; batch 100 200 500; checkpoint; reopen; many 0; many 90; many 150; get 3; get 199" },
	{ 96, 256, "batch 0 120 300; snap; batch 0 120 301; snap; batch 0 120 302; verify; unsnap 0; reopen; verify" },
	{ 96, 256, "batch 0 150 200; batchdel 20 140; checkpoint; batch 20 140 210; batchdel 0 150; checkpoint; check" },
	{ 96, 128, "batch 0 250 90; crash; batch 0 250 91; crash; verify; check" },
	{ 96, 128, "batch 0 200 250; reopen; put 3 10; put 23 900; del 43; put 63 1000; checkpoint; scrub; verify" },
	{ 96, 256, "batch 0 80 400; checkpoint; batch 0 80 401; checkpoint; batch 0 80 402; checkpoint; check" },
	{ 96, 256,
	  "tree 0; batch 0 99 150; tree 1; batch 0 99 151; tree 2; batch 0 99 152; tree 3; batch 0 99 153; verify; reopen; "
	  "check" },
	{ 96, 256, "batch 0 90 350; drop; batch 0 90 351; snap; batch 0 90 352; drop; checkpoint; checkpoint; check" },
	/* puts on leaves that are not in memory */
	{ 96, 256,
	  "batch 0 200 250; cold; put 2 10; put 42 200; put 82 250; lazy 62 100; lazy 122 100; sync; checkpoint; verify; check" },
	{ 96, 256,
	  "batch 0 200 250; snap; cold; put 5 100; put 45 100; snap; put 5 120; put 85 90; checkpoint; verify; unsnap 0; crash; "
	  "verify; check" },
	{ 96, 256,
	  "batch 0 200 250; cold; put 5 100; put 45 100; put 105 100; crash; verify; cold; put 6 90; put 46 90; drop; "
	  "checkpoint; check" },
	{ 96, 256,
	  "batch 0 200 250; cold; put 5 100; del 6; put 7 300; get 5; batch 40 60 90; cold; put 8 100; checkpoint; put 8 90; "
	  "put 28 90; reopen; verify" },
	/* which leave memory */
	{ 96, 256,
	  "batch 0 200 250; cold; put 2 10; put 42 200; put 82 250; lazy 62 100; lazy 122 100; spill; get 42; verify; put 42 90; "
	  "spill; del 82; sync; checkpoint; verify; check" },
	{ 96, 256,
	  "batch 0 200 250; snap; cold; put 5 100; put 45 100; spill; snap; put 5 120; put 85 90; spill; checkpoint; spill; put "
	  "5 130; "
	  "put 125 90; spill; verify; unsnap 0; crash; verify; check" },
	{ 96, 256,
	  "batch 0 200 250; cold; put 5 100; put 45 100; put 105 100; spill; crash; verify; cold; put 6 90; put 46 90; spill; "
	  "drop; "
	  "checkpoint; check" },
	/* a small log */
	{ 128, 64, "batch 0 90 250; batch 0 90 251; batch 0 90 252; batch 0 90 253; verify" },
	{ 128, 64,
	  "lazy 1 2000; lazy 2 2000; lazy 3 2000; sync; lazy 4 2000; lazy 5 2000; sync; checkpoint; lazy 6 9000; crash; verify" },
	{ 128, 64, "put 1 900; put 2 900; put 3 900; put 4 900; crash; put 5 900; put 6 900; crash; verify; check" },
	{ 128, 64,
	  "batch 0 100 200; snap; batch 0 100 201; batch 0 100 202; snap; batch 0 100 203; crash; unsnap 0; verify; check" },
	/* values in extents, in all ways */
	{ 128, 128, "batch 0 10 4000; batch 0 10 8000; batchdel 0 5; checkpoint; batch 0 10 6000; crash; verify; check" },
	{ 128, 128,
	  "put 1 100000; put 1 10; put 1 100000; checkpoint; put 1 10; checkpoint; put 1 100000; crash; verify; check" },
	{ 128, 128, "value 1 150000; snap; value 1 150001; checkpoint; unsnap 0; checkpoint; check; scrub" },
	{ 128, 128, "put 1 30000; snap; put 1 10; checkpoint; crash; verify; unsnap 0; checkpoint; crash; verify; check" },
	{ 96, 128, "batch 0 20 3000; snap; batch 5 15 3001; drop; crash; batch 0 20 3002; verify; scrub; check" },
	/* a bit of everything */
	{ 96, 256,
	  "put 3 100; snap; put 5 9000; batch 20 60 90; del 3; checkpoint; unsnap 0; drop; reopen; list; get 5; scrub; put 5 "
	  "7000; hold 5; reopen" },
	{ 96, 256,
	  "batch 0 50 99; value 60 90000; snap; tree 1; new 3 10; hold 3; batch 5 45 500; release; crash; tree 0; unsnap 0; del "
	  "60; "
	  "checkpoint; drop; tree 1; snap; batchdel 5 45; reopen; many 0; verify; check" },
};

#endif
