import socket

import pytest

from leads_pipeline_tests.support import OtherMachineError, closed_port_url


def test_tests_cannot_reach_another_machine_by_address_or_name() -> None:
    with socket.socket() as outwards, pytest.raises(OtherMachineError):
        outwards.connect(("192.0.2.1", 80))
    with pytest.raises(OtherMachineError):
        socket.getaddrinfo("mapi.indiamart.com", 443)


def test_tests_can_reach_servers_on_this_machine() -> None:
    port = int(closed_port_url().rpartition(":")[2].strip("/"))
    with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)
