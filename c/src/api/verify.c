/* SPDX-License-Identifier: Apache-2.0 */
/* api/verify.c: checks and scrubs of a pool (tarn/pool.h). What they find is told in the user's words: see object/finding.h. */
#include "../object/finding.h"
#include "call.h"
#include <stdatomic.h>

struct verify_call {
	struct call	    call;
	tarn_pool	   *pool;
	tarn_check_options  options;
	tarn_check_result  *result;
	struct store_report report;
};

static struct verify_call *of(struct call *call)
{
	return container_of(call, struct verify_call, call);
}

static struct verify_call *of_report(struct store_report *report)
{
	return container_of(report, struct verify_call, report);
}

static void found(struct store_report *report, const struct store_finding *finding)
{
	struct verify_call *c = of_report(report);
	struct finding	    named;

	finding_name(c->pool->pool, finding, &named);
	c->options.found(c->options.arg, &named.finding);
}

static void progress(struct store_report *report, uint64_t done, uint64_t all)
{
	of_report(report)->options.progress(of_report(report)->options.arg, done, all);
}

static bool stop(struct store_report *report)
{
	const struct op *op = of_report(report)->call.op;

	return op && atomic_load(&op->abort);
}

static struct store_report *begin(struct verify_call *c)
{
	c->report = (struct store_report){
		.found		  = c->options.found ? found : NULL,
		.progress	  = c->options.progress ? progress : NULL,
		.stop		  = stop,
		.bytes_per_second = c->options.bytes_per_second,
	};
	return &c->report;
}

static int end(struct verify_call *c, int rc)
{
	if (c->result)
		*c->result = (tarn_check_result){ .bytes = c->report.bytes, .findings = c->report.findings };
	return rc;
}

static int check_body(struct call *call, unsigned flags)
{
	struct verify_call *c	   = of(call);
	struct driver	   *driver = c->pool->pool->driver;

	(void)flags;
	return end(c, driver->ops->check(driver, begin(c)));
}

static int scrub_body(struct call *call, unsigned flags)
{
	struct verify_call *c	   = of(call);
	struct driver	   *driver = c->pool->pool->driver;

	(void)flags;
	return end(c, driver->ops->scrub(driver, begin(c)));
}

static int run(const struct verb *verb, tarn_pool *pool, const tarn_check_options *options, tarn_check_result *result,
	       tarn_event *ev)
{
	struct verify_call c  = { .pool = pool, .result = result };
	int		   rc = pool ? 0 : fail(NO_HDL, "the pool is NULL");

	if (rc == 0)
		rc = options_copy("tarn_check_options", &c.options, sizeof(c.options), options);
	if (rc)
		return call_refuse(ev, rc);
	c.call = call_on_pool(verb, &pool->handle, pool->pool);
	return call_run(&c.call, ev);
}

int tarn_pool_check(tarn_pool *pool, const tarn_check_options *options, tarn_check_result *result, tarn_event *ev)
{
	static const struct verb verb = { .body = check_body, .size = sizeof(struct verify_call) };

	return run(&verb, pool, options, result, ev);
}

int tarn_pool_scrub(tarn_pool *pool, const tarn_check_options *options, tarn_check_result *result, tarn_event *ev)
{
	static const struct verb verb = { .body = scrub_body, .size = sizeof(struct verify_call) };

	return run(&verb, pool, options, result, ev);
}
