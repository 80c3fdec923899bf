"""`python -m leads_pipeline.fake_indiamart`: the fake IndiaMART as a process of its own."""

import argparse
import sys

from leads_pipeline.fake_indiamart.server import DEMO_KEY, DEMO_MOBILE, DEMO_V1_KEY, FakeIndiaMart, serve


def main(arguments: list[str] | None = None) -> int:
    """Run the server with the given command line until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m leads_pipeline.fake_indiamart", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=7, help="decides which leads there are")
    parser.add_argument("--key", action="append", help="key to accept; may be repeated")
    parser.add_argument("--v1-key", default=DEMO_V1_KEY, help="key that v1 accepts, of the first key's seller")
    parser.add_argument("--mobile", default=DEMO_MOBILE, help="mobile number that v1 wants beside its key")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds that calls must be apart")
    parser.add_argument("--block", type=float, help="seconds that a block lasts; default three intervals")
    parser.add_argument("--leads-per-day", type=float, default=25.0, help="average number of leads a day")
    parser.add_argument("--inclusive-end", action="store_true", help="include the second that ends a window")
    parser.add_argument("--parent-pid", type=int, help="stop when this process is gone")
    options = parser.parse_args(arguments)
    keys = tuple(options.key or [DEMO_KEY])
    server = FakeIndiaMart(
        options.seed,
        keys,
        interval_seconds=options.interval,
        block_seconds=options.block,
        leads_per_day=options.leads_per_day,
        host=options.host,
        port=options.port,
        inclusive_end=options.inclusive_end,
        v1_keys={options.v1_key: keys[0]},
        mobile=options.mobile,
    )
    serve(server, parent_pid=options.parent_pid, on_ready=_announce)
    return 0


def _announce(server: FakeIndiaMart) -> None:
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
