#!/usr/bin/env python3
"""The QuickFIX engine as initiator trades on a venue in FIX 4.2, 4.4 and 5.0 SP2.

    quickfix_client.py PATH_TO_IRONBOOK

QuickFIX checks every message of the venue against its own dictionaries, which come with it, and answers a
bad one with a Reject: there may be none. It keeps its sequence numbers in files, loses its connection, and
gets what it missed, by ResendRequest and by NextExpectedMsgSeqNum. Ends with the line 'N passed, 0 failed'.
"""

import os
import queue
import sys
import tempfile
import time
import traceback

import quickfix

from trade import TIMEOUT_S, Venue

DICTIONARIES = os.path.join(sys.prefix, "share", "quickfix")

ADMIN = ("0", "1", "2", "3", "4", "5", "A")


class Version:
    """A version of FIX, and how QuickFIX is configured for it."""

    def __init__(self, name, begin_string, settings, next_expected):
        self.name, self.begin_string, self.next_expected = name, begin_string, next_expected
        self.settings = settings

    def fields_for(self, *fields):
        """HandlInst is required before FIX 4.4."""
        return (*fields, (21, 1)) if self.begin_string == "FIX.4.2" else fields

    @property
    def fill(self):
        """ExecType of a fill in part and of a whole one."""
        return ("1", "2") if self.begin_string == "FIX.4.2" else ("F", "F")


def dictionary(name):
    return os.path.join(DICTIONARIES, name)


FIXT = {
    "DefaultApplVerID": "FIX.5.0SP2",
    "TransportDataDictionary": dictionary("FIXT11.xml"),
    "AppDataDictionary": dictionary("FIX50SP2.xml"),
}

# Each with two of the venue's eight traders.
VERSIONS = [
    Version("FIX.4.2", "FIX.4.2", {"DataDictionary": dictionary("FIX42.xml")}, False),
    Version("FIX.4.4", "FIX.4.4", {"DataDictionary": dictionary("FIX44.xml")}, False),
    Version("FIX.4.4 with 789", "FIX.4.4", {"DataDictionary": dictionary("FIX44.xml")}, True),
    Version("FIX.5.0SP2 with 789", "FIXT.1.1", FIXT, True),
]


def parse(message):
    """A message as a list of (tag, value)."""
    fields = message.toString().strip("\x01").split("\x01")
    return [(int(tag), value) for tag, value in (field.split("=", 1) for field in fields)]


class Application(quickfix.Application):
    """Keeps what QuickFIX says, and what it is told."""

    def __init__(self):
        super().__init__()
        self.received, self.states = queue.Queue(), queue.Queue()
        # Messages of the session layer in both directions, by type.
        self.sent_admin, self.received_admin = [], []
        self.rejects = []

    def onCreate(self, session):
        pass

    def onLogon(self, session):
        self.states.put("on")

    def onLogout(self, session):
        self.states.put("off")

    def toAdmin(self, message, session):
        fields = parse(message)
        self.sent_admin.append(fields)
        if dict(fields)[35] == "3":
            self.rejects.append(fields)

    def toApp(self, message, session):
        fields = parse(message)
        if dict(fields)[35] == "j":
            self.rejects.append(fields)

    def fromAdmin(self, message, session):
        self.received_admin.append(parse(message))

    def fromApp(self, message, session):
        self.received.put(parse(message))


class Client:
    """One session of QuickFIX, which keeps its numbers in files."""

    def __init__(self, venue, directory, version, comp_id):
        self.version, self.comp_id = version, comp_id
        settings = {
            "ConnectionType": "initiator",
            "BeginString": version.begin_string,
            "SenderCompID": comp_id,
            "TargetCompID": "IRONBOOK",
            "SocketConnectHost": "127.0.0.1",
            "SocketConnectPort": venue.port,
            "SocketNodelay": "Y",
            "ReconnectInterval": 1,
            "HeartBtInt": 30,
            "StartTime": "00:00:00",
            "EndTime": "00:00:00",
            "FileStorePath": os.path.join(directory, "store"),
            "SendNextExpectedMsgSeqNum": "Y" if version.next_expected else "N",
            "UseDataDictionary": "Y",
            "ValidateFieldsOutOfOrder": "Y",
            "ValidateFieldsHaveValues": "Y",
            "ValidateUserDefinedFields": "Y",
            "AllowUnknownMsgFields": "N",
            **version.settings,
        }
        self.file = os.path.join(directory, f"{comp_id}.cfg")
        with open(self.file, "w") as file:
            file.write("[DEFAULT]\n[SESSION]\n")
            file.writelines(f"{key}={value}\n" for key, value in settings.items())
        self.session = quickfix.SessionID(version.begin_string, comp_id, "IRONBOOK")
        self.rejects = []

    def start(self):
        """Logs on with the numbers in its files."""
        self.application = Application()
        settings = quickfix.SessionSettings(self.file)
        store = quickfix.FileStoreFactory(settings)
        self.parts = (settings, store)
        self.initiator = quickfix.SocketInitiator(self.application, store, settings)
        self.initiator.start()
        self.wait("on")

    def wait(self, state):
        while True:
            found = self.application.states.get(timeout=TIMEOUT_S)
            if found == state:
                return

    def stop(self):
        """Logs out."""
        self.initiator.stop()
        self.wait("off")
        # It has pointers to its parts, so it goes before them.
        self.initiator = None
        self.rejects += self.application.rejects
        answered = [dict(fields)[35] for fields in self.application.received_admin]
        assert answered[-1] == "5", f"{self.comp_id}: the Logout is answered last: {answered}"

    def send(self, msg_type, *fields):
        message = quickfix.Message()
        message.getHeader().setField(quickfix.MsgType(msg_type))
        for tag, value in fields:
            message.setField(quickfix.StringField(tag, str(value)))
        assert quickfix.Session.sendToTarget(message, self.session)

    def expect(self, **wanted):
        """The next application message; its fields must be as wanted."""
        try:
            fields = dict(self.application.received.get(timeout=TIMEOUT_S))
        except queue.Empty:
            raise AssertionError(
                f"{self.comp_id} got nothing, wanted {wanted}; rejects: {self.application.rejects}; "
                f"session: {self.application.received_admin[-3:]}"
            ) from None
        for name, value in wanted.items():
            got = fields.get(int(name[1:]))
            assert got == str(value), f"{name}: {got}, wanted {value} in {fields}"
        return fields

    def order(self, cl_ord_id, side, qty, price, symbol="AAPL"):
        fields = [(11, cl_ord_id), (55, symbol), (54, side), (60, now()), (38, qty), (40, 2), (44, price)]
        self.send("D", *self.version.fields_for(*fields))

    def change(self, msg_type, cl_ord_id, orig, side, *fields):
        fields = [(41, orig), (11, cl_ord_id), (55, "AAPL"), (54, side), (60, now()), *fields]
        self.send(msg_type, *(self.version.fields_for(*fields) if msg_type == "G" else fields))


def now():
    return time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())


def trading(version, maker, taker, run):
    """Both sides of an order, replace, cancel, and what is refused."""
    part, whole = version.fill
    ids = {name: f"{run}{name}" for name in ("s1", "s2", "b1", "c1", "c2", "c3", "r1", "r2")}
    maker.order(ids["s1"], 2, 100, "189.50")
    accepted = maker.expect(t35=8, t150=0, t39=0, t11=ids["s1"], t151=100)
    taker.order(ids["b1"], 1, 40, "189.60")
    taker.expect(t35=8, t150=0, t11=ids["b1"])
    filled = maker.expect(t35=8, t150=part, t39=1, t11=ids["s1"], t31="189.50", t32=40, t151=60)
    taker.expect(t35=8, t150=whole, t39=2, t11=ids["b1"], t31="189.50", t32=40, t151=0)
    assert filled[37] == accepted[37], "an order keeps its OrderID"
    maker.change("G", ids["s2"], ids["s1"], 2, (38, 90), (40, 2), (44, "189.50"))
    maker.expect(t35=8, t150=5, t11=ids["s2"], t41=ids["s1"], t38=90, t151=50)
    maker.change("F", ids["c1"], ids["s2"], 2)
    maker.expect(t35=8, t150=4, t39=4, t11=ids["c1"], t41=ids["s2"], t151=0, t14=40)
    maker.change("F", ids["c2"], ids["s2"], 2)
    maker.expect(t35=9, t11=ids["c2"], t41=ids["s2"], t434=1)
    maker.change("F", ids["c3"], "nobody", 2)
    maker.expect(t35=9, t11=ids["c3"], t41="nobody", t37="NONE", t102=1)
    maker.order(ids["r1"], 1, 10, "189.505")
    maker.expect(t35=8, t150=8, t39=8, t11=ids["r1"])
    maker.order(ids["r2"], 1, 10, "1.00", symbol="NOSUCH")
    maker.expect(t35=8, t150=8, t39=8, t103=1, t55="NOSUCH")
    if version.begin_string != "FIX.4.2":
        questions(maker, run)


def questions(client, run):
    """What FIX 4.2 has no words for, or others: mass cancel, status, instruments."""
    client.order(f"{run}m1", 1, 10, "1.00")
    client.expect(t35=8, t150=0)
    client.send("H", (11, f"{run}m1"), (55, "AAPL"), (54, 1))
    client.expect(t35=8, t150="I", t39=0, t11=f"{run}m1")
    client.send("q", (11, f"{run}mc"), (530, 7), (60, now()))
    kinds = sorted(client.expect()[35] for _ in range(2))
    assert kinds == ["8", "r"], kinds
    client.send("e", (324, f"{run}e"), (55, "AAPL"), (263, 0))
    client.expect(t35="f", t324=f"{run}e", t55="AAPL")
    client.send("x", (320, f"{run}x"), (559, 4))
    client.expect(t35="y", t320=f"{run}x", t560=0)


def absence(version, maker, taker, run, between):
    """The maker is away while its orders are filled, and gets it all when it comes back."""
    count = 20
    for number in range(count):
        maker.order(f"{run}q{number}", 2, 10, "190.00")
        maker.expect(t35=8, t150=0, t11=f"{run}q{number}")
    maker.stop()
    between()
    taker.order(f"{run}sweep", 1, 10 * count, "190.00")
    taker.expect(t35=8, t150=0)
    for left in reversed(range(count)):
        taker.expect(t35=8, t150=version.fill[0 if left else 1], t151=10 * left)
    maker.start()
    for number in range(count):
        fill = maker.expect(t35=8, t150=version.fill[1], t39=2, t11=f"{run}q{number}", t43="Y")
        assert 122 in fill, fill
    asked = [fields for fields in maker.application.sent_admin if dict(fields)[35] == "2"]
    assert bool(asked) != version.next_expected, f"ResendRequests: {asked}"
    logon = dict(maker.application.received_admin[0])
    assert (789 in logon) == version.next_expected, logon
    # Nothing comes twice, and all goes on.
    maker.order(f"{run}last", 2, 10, "190.00")
    maker.expect(t35=8, t150=0, t11=f"{run}last")
    maker.change("F", f"{run}lastc", f"{run}last", 2)
    maker.expect(t35=8, t150=4, t11=f"{run}lastc")


def life(venue, directory, number, version):
    """All of it in one version."""
    directory = os.path.join(directory, str(number))
    os.makedirs(directory)
    names = [f"TRADER{2 * number + side}" for side in (1, 2)]
    maker, taker = (Client(venue, directory, version, name) for name in names)
    maker.start()
    taker.start()
    run = f"v{number}"
    trading(version, maker, taker, run)
    absence(version, maker, taker, f"{run}a", lambda: None)

    def restart():
        taker.stop()
        venue.kill()
        venue.start()
        taker.start()

    absence(version, maker, taker, f"{run}b", restart)
    maker.stop()
    taker.stop()
    rejects = maker.rejects + taker.rejects
    assert not rejects, f"QuickFIX refuses what the venue sends: {rejects}"


def main():
    binary = sys.argv[1]
    passed = 0
    with tempfile.TemporaryDirectory() as place:
        venue = Venue(binary, os.path.join(place, "journal"))
        venue.start()
        try:
            for number, version in enumerate(VERSIONS):
                life(venue, place, number, version)
                print(f"{version.name}: passed", flush=True)
                passed += 1
            assert venue.stop() == 0, "a clean stop"
        finally:
            if venue.process.poll() is None:
                venue.kill()
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        traceback.print_exc()
        sys.stdout.flush()
        # Threads of QuickFIX may still run, and crash where the interpreter ends in order.
        os._exit(1)
