#!/usr/bin/env python3
"""A client written with somebody else's FIX library trades on a venue, survives its death, and
gets what it missed.

    trade.py PATH_TO_IRONBOOK

Starts the venue on a free port with a fresh data directory, kills it with SIGKILL in mid flow, and
ends with the line 'N passed, 0 failed'.
"""

import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

import simplefix

TIMEOUT_S = 10


class Venue:
    """A venue process."""

    def __init__(self, binary, data):
        self.binary, self.data, self.process, self.port = binary, data, None, None

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, "start", "--data", self.data, "--fix", f"127.0.0.1:{self.port or 0}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self.process.stdout:
            found = re.search(r"FIX\s+127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found.group(1))
            if line.startswith("Ctrl-C"):
                return
        raise AssertionError("the venue did not start")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode

    def tool(self, *arguments):
        return subprocess.run([self.binary, *arguments], capture_output=True, text=True)


class Client:
    """A FIX 4.4 client over simplefix that keeps its own sequence numbers."""

    def __init__(self, venue, comp_id):
        self.venue, self.comp_id = venue, comp_id
        self.next_out, self.next_in = 1, 1
        self.socket, self.parser = None, None

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.venue.port), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.parser = simplefix.FixParser()

    def send(self, msg_type, *fields):
        message = simplefix.FixMessage()
        message.append_pair(8, "FIX.4.4", header=True)
        message.append_pair(35, msg_type, header=True)
        message.append_pair(34, self.next_out, header=True)
        message.append_pair(49, self.comp_id, header=True)
        message.append_pair(56, "IRONBOOK", header=True)
        message.append_utc_timestamp(52, precision=3, header=True)
        for tag, value in fields:
            message.append_pair(tag, value)
        self.next_out += 1
        self.socket.sendall(message.encode())

    def receive(self, timeout=TIMEOUT_S):
        """The next message, or None when the other end closes."""
        self.socket.settimeout(timeout)
        while True:
            message = self.parser.get_message()
            if message is not None:
                return message
            data = self.socket.recv(65536)
            if not data:
                return None
            self.parser.append_buffer(data)

    def expect(self, **wanted):
        """The next message in sequence that is no heartbeat; its fields must be as wanted."""
        while True:
            message = self.receive()
            assert message is not None, f"connection closed, wanted {wanted}"
            if message.get(43) != b"Y":
                number = int(message.get(34))
                assert number == self.next_in, f"got 34={number}, expected {self.next_in}: {message}"
                self.next_in += 1
            if message.get(35) != b"0":
                break
        for name, value in wanted.items():
            tag = int(name[1:])
            got = message.get(tag)
            assert got == str(value).encode(), f"tag {tag}: {got}, wanted {value} in {message}"
        return message

    def logon(self, *fields):
        self.connect()
        self.send("A", (98, 0), (108, 30), *fields)

    def logout(self):
        self.send("5")
        self.expect(t35="5")
        assert self.receive() is None, "the venue closes after Logout"
        self.socket.close()

    def order(self, cl_ord_id, side, qty, price, symbol="AAPL", **more):
        now = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
        fields = [(11, cl_ord_id), (55, symbol), (54, side), (60, now), (38, qty), (40, 2), (44, price)]
        self.send("D", *fields, *((int(name[1:]), value) for name, value in more.items()))

    def change(self, msg_type, cl_ord_id, orig, side, *fields, symbol="AAPL"):
        now = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
        self.send(msg_type, (41, orig), (11, cl_ord_id), (55, symbol), (54, side), (60, now), *fields)


def trading(venue):
    """Both sides of an order, replace, cancel, rejects, logout."""
    client = Client(venue, "TRADER1")
    client.logon()
    client.expect(t35="A", t49="IRONBOOK", t56="TRADER1", t98=0, t108=30)
    client.order("s1", 2, 100, "189.50", t1="ACC1")
    accepted = client.expect(t35="8", t150="0", t39="0", t11="s1", t151=100, t14=0, t1="ACC1", t55="AAPL")
    client.order("b1", 1, 40, "189.60")
    client.expect(t35="8", t150="0", t39="0", t11="b1")
    maker = client.expect(t35="8", t150="F", t39="1", t11="s1", t31="189.50", t32=40, t151=60, t14=40)
    taker = client.expect(t35="8", t150="F", t39="2", t11="b1", t31="189.50", t32=40, t151=0, t6="189.50")
    assert maker.get(527) == taker.get(527) is not None, "one trade, one number on both sides"
    assert maker.get(37) == accepted.get(37), "an order keeps its OrderID"
    client.change("G", "s2", "s1", 2, (38, 90), (40, 2), (44, "189.50"))
    client.expect(t35="8", t150="5", t39="1", t11="s2", t41="s1", t38=90, t151=50, t14=40)
    client.change("F", "c1", "s2", 2)
    client.expect(t35="8", t150="4", t39="4", t11="c1", t41="s2", t151=0, t14=40)
    client.change("F", "c2", "s2", 2)
    client.expect(t35="9", t11="c2", t41="s2", t434=1, t102=0)
    client.change("F", "c3", "nobody", 2)
    client.expect(t35="9", t11="c3", t41="nobody", t37="NONE", t434=1, t102=1)
    client.order("r1", 1, 10, "189.505")
    client.expect(t35="8", t150="8", t39="8", t11="r1", t103=99)
    client.order("r2", 1, 10, "1.00", symbol="NOSUCH")
    client.expect(t35="8", t150="8", t39="8", t103=1, t55="NOSUCH")
    client.order("s1", 1, 10, "1.00")
    client.expect(t35="8", t150="8", t39="8", t103=6)
    client.logout()


def survival(venue):
    """SIGKILL in mid flow: everything acknowledged is there, in the same place in the queue."""
    resting, other = Client(venue, "TRADER2"), Client(venue, "TRADER3")
    for client in (resting, other):
        client.logon()
        client.expect(t35="A")
    ids = [f"q{number}" for number in range(50)]
    for number, cl_ord_id in enumerate(ids):
        owner = resting if number % 2 == 0 else other
        owner.order(cl_ord_id, 2, 10, "200.00")
        owner.expect(t35="8", t150="0", t11=cl_ord_id)
    for number in range(500):
        other.order(f"f{number}", 1, 1, "50.00")
    other.expect(t35="8", t150="0")
    venue.kill()
    resting.socket.close()
    other.socket.close()

    venue.start()
    resting.logon()
    resting.expect(t35="A")
    taker = Client(venue, "TRADER4")
    taker.logon()
    taker.expect(t35="A")
    taker.order("sweep", 1, 500, "200.00")
    taker.expect(t35="8", t150="0")
    owners = []
    for number in range(50):
        fill = taker.expect(t35="8", t150="F", t32=10, t31="200.00")
        owners.append(fill.get(14))
    assert owners == [str(10 * (number + 1)).encode() for number in range(50)], owners
    filled = [resting.expect(t35="8", t150="F", t39="2").get(11) for _ in range(25)]
    assert filled == [cl_ord_id.encode() for cl_ord_id in ids[::2]], filled
    taker.logout()
    resting.logout()
    return other, ids


def resend(venue, other, ids):
    """The client that was away logs on with its old numbers and gets what it missed."""
    seen = other.next_in
    other.logon()
    answer = other.receive()
    assert answer.get(35) == b"A", answer
    missed = int(answer.get(34)) - seen
    assert missed >= 25, f"{missed} messages missed"
    other.send("2", (7, seen), (16, 0))
    got = []
    ours = None
    while len(got) < missed:
        message = other.receive()
        kind = message.get(35)
        if kind == b"2":
            # The venue misses what was in flight when it died: fill that gap.
            ours = int(message.get(7))
            fill_gap(other, ours)
            continue
        if message.get(43) != b"Y":
            continue
        assert int(message.get(34)) == seen + len(got), message
        assert message.get(122) is not None, message
        if kind == b"4":
            got.extend([None] * (int(message.get(36)) - int(message.get(34))))
        else:
            got.append((message.get(150), message.get(11)))
    filled = [entry[1] for entry in got if entry and entry[0] == b"F"]
    assert filled == [cl_ord_id.encode() for cl_ord_id in ids[1::2]], filled
    other.next_in = int(answer.get(34)) + 1
    other.send("1", (112, "still here"))
    while True:
        message = other.receive()
        if message.get(35) == b"0" and message.get(112) == b"still here":
            break
        if message.get(35) == b"2":
            fill_gap(other, int(message.get(7)))
    other.socket.close()


def fill_gap(client, begin):
    """Tells the venue that nothing from `begin` on will be sent again."""
    message = simplefix.FixMessage()
    for tag, value in ((8, "FIX.4.4"), (35, "4"), (34, begin), (49, client.comp_id), (56, "IRONBOOK")):
        message.append_pair(tag, value, header=True)
    message.append_pair(43, "Y", header=True)
    message.append_utc_timestamp(52, precision=3, header=True)
    message.append_pair(122, message.get(52).decode(), header=True)
    message.append_pair(123, "Y")
    message.append_pair(36, client.next_out)
    client.socket.sendall(message.encode())


def main():
    binary = sys.argv[1]
    passed = 0
    with tempfile.TemporaryDirectory() as data:
        venue = Venue(binary, data)
        venue.start()
        try:
            trading(venue)
            passed += 1
            other, ids = survival(venue)
            passed += 1
            resend(venue, other, ids)
            passed += 1
            assert venue.stop() == 0, "a clean stop"
            for tool in ("verify", "replay"):
                done = venue.tool(tool, data)
                assert done.returncode == 0, done
            passed += 1
        finally:
            if venue.process.poll() is None:
                venue.kill()
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
