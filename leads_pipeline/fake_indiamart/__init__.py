"""A faithful IndiaMART over real HTTP on this machine: to try out, to demonstrate, to test against.

It shares nothing with the client but India's calendar, so that it is an independent witness of what should
have come in. `server.FakeIndiaMart` runs it in a thread, `python -m leads_pipeline.fake_indiamart` in a process.
All people, companies and numbers in its leads are invented.
"""
