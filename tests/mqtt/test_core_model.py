"""The core against a naive model: any sequence of clients coming, going, subscribing and publishing."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from broker.mqtt.core import Connection
from broker.mqtt.packets import Connect, Disconnect, PubAck, Publish, Subscribe, Unsubscribe, Will
from tests.mqtt.bench import Bench, ListLink
from tests.mqtt.strategies import FILTERS
from tests.mqtt.test_topics import naive

NAMES = st.sampled_from(["one", "two", "three"])
TOPICS = st.sampled_from(["a", "a/b", "b", "a/b/a", "/a", "b/"])
QOS = st.integers(0, 1)


@dataclass
class Model:
    """What a client should have: its subscriptions, what waits for it, and what should have come."""

    clean: bool = True
    here: bool = False
    subscriptions: dict[str, int] = field(default_factory=dict)
    waiting: list[tuple[str, bytes, int, bool]] = field(default_factory=list)
    due: list[tuple[str, bytes, int, bool]] = field(default_factory=list)
    will: Will | None = None


class CoreMachine(RuleBasedStateMachine):
    """Every client acknowledges at once, so that only the rules of delivery are in play."""

    @initialize()
    def begin(self) -> None:
        """Start with an empty broker."""
        self.bench = Bench()
        self.models = {name: Model() for name in ("one", "two", "three")}
        self.clients: dict[str, tuple[Connection, ListLink]] = {}
        self.retained: dict[str, tuple[bytes, int]] = {}
        self.count = 0

    @rule(name=NAMES, clean=st.booleans(), will=st.none() | st.builds(Will, TOPICS, st.just(b"w"), QOS, st.booleans()))
    def connect(self, name: str, *, clean: bool, will: Will | None) -> None:
        """A client comes, or takes itself over."""
        self._leave(name, with_will=True)
        model = self.models[name]
        if clean:
            model = self.models[name] = Model()
        model.clean, model.here, model.will = clean, True, will
        model.due, model.waiting = model.waiting, []
        self.clients[name] = self.bench.join(Connect(name, clean, will=will))

    @rule(name=NAMES, polite=st.booleans())
    def leave(self, name: str, *, polite: bool) -> None:
        """A client goes, with a word or without."""
        if not self.models[name].here:
            return
        connection, _ = self.clients.pop(name)
        if polite:
            self.bench.receive(connection, Disconnect())
        else:
            self.bench.core.lost(connection)
        self._leave(name, with_will=not polite)

    @rule(name=NAMES, topic_filter=FILTERS, qos=QOS)
    def subscribe(self, name: str, topic_filter: str, qos: int) -> None:
        """A client subscribes, perhaps again."""
        model = self.models[name]
        if not model.here:
            return
        model.subscriptions[topic_filter] = qos
        model.due += [
            (topic, payload, min(qos, kept), True)
            for topic, (payload, kept) in self.retained.items()
            if naive(topic_filter, topic)
        ]
        self.bench.receive(self.clients[name][0], Subscribe(1, ((topic_filter, qos),)))

    @rule(name=NAMES, data=st.data())
    def unsubscribe(self, name: str, data: st.DataObject) -> None:
        """A client gives a subscription up."""
        model = self.models[name]
        if not model.here or not model.subscriptions:
            return
        topic_filter = data.draw(st.sampled_from(sorted(model.subscriptions)))
        del model.subscriptions[topic_filter]
        self.bench.receive(self.clients[name][0], Unsubscribe(1, (topic_filter,)))

    @rule(name=NAMES, topic=TOPICS, qos=QOS, retain=st.booleans(), empty=st.booleans())
    def publish(self, name: str, topic: str, *, qos: int, retain: bool, empty: bool) -> None:
        """A client publishes; an empty retained message takes the retained one away."""
        if not self.models[name].here:
            return
        self.count += 1
        message = Publish(topic, b"" if empty else b"%d" % self.count, qos, retain, packet_id=qos or None)
        self._publish(message)
        self.bench.receive(self.clients[name][0], message)

    @invariant()
    def each_got_what_was_due(self) -> None:
        """Whoever is here was sent exactly what the model says."""
        for name, (connection, link) in getattr(self, "clients", {}).items():
            messages = link.messages()
            for message in messages:
                if message.packet_id is not None:
                    self.bench.receive(connection, PubAck(message.packet_id))
                    messages += link.messages()
            model, got = self.models[name], [(m.topic, m.payload, m.qos, m.retain) for m in messages]
            # Retained messages come in any order; live ones in the order published.
            assert sorted(got) == sorted(model.due)
            assert [entry for entry in got if not entry[3]] == [entry for entry in model.due if not entry[3]]
            model.due = []

    def _publish(self, message: Publish) -> None:
        if message.retain:
            self.retained.pop(message.topic, None)
            if message.payload:
                self.retained[message.topic] = (message.payload, message.qos)
        for model in self.models.values():
            fitting = [qos for text, qos in model.subscriptions.items() if naive(text, message.topic)]
            if not fitting:
                continue
            qos = min(max(fitting), message.qos)
            entry = (message.topic, message.payload, qos, False)
            if model.here:
                model.due.append(entry)
            elif qos:
                model.waiting.append(entry)

    def _leave(self, name: str, *, with_will: bool) -> None:
        model = self.models[name]
        if not model.here:
            return
        model.here, model.due = False, []
        if model.clean:
            self.models[name] = Model()
        if with_will and model.will is not None:
            self._publish(Publish(model.will.topic, model.will.payload, model.will.qos, model.will.retain))


CoreMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestCoreModel = CoreMachine.TestCase
