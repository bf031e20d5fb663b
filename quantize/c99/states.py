"""The part of the generated code that keeps a file's states from step to step: `NAME_push`."""

from dataclasses import dataclass

from edge.model_file import ModelIo


@dataclass(frozen=True)
class States:
    """States of a file that gives them back by name; each starts at a word, those that follow lie behind all.

    Attributes:
        name: of the model.
        io: of its file, with at least one state.
    """

    name: str
    io: ModelIo

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where each state lies, in bytes."""
        return tuple(sum(self._room(size) for size in self._sizes[:i]) for i in range(len(self._sizes)))

    @property
    def size(self) -> int:
        """Bytes of all states."""
        return sum(self._room(size) for size in self._sizes)

    @property
    def macros(self) -> list[str]:
        """Sizes, for the header."""
        prefix, hop = self.name.upper(), self.io.chunk * self.io.channels
        return [
            f"#define {prefix}_HOP_SIZE {hop} /* values of input that a push takes */",
            f"#define {prefix}_STATE_SIZE {self.size} /* bytes that go from push to push */",
        ]

    @property
    def member(self) -> str:
        """Member of the model's type."""
        return f"    uint32_t kept[{2 * self.size // 4}]; /* the states, and those that follow */"

    @property
    def signature(self) -> str:
        """Head of the function."""
        context = "const int8_t *context, " if self.io.context else ""
        return f"void {self.name}_push({self.name}_t *m, const int8_t *input, {context}int8_t *output)"

    @property
    def declaration(self) -> list[str]:
        """Declaration, for the header."""
        return [
            "/* One step: as _run, with the states kept in *m, after a reset at their zero points. */",
            f"{self.signature};",
            "",
        ]

    @property
    def resets(self) -> list[str]:
        """Statements that put every state at its zero point."""
        pairs = zip(self.io.states, self.offsets, strict=True)
        return [f"    memset(kept + {at}, {state.zero_point}, {state.size});" for state, at in pairs]

    @property
    def function(self) -> list[str]:
        """The function itself."""
        inputs, outputs = {0: "input"}, {0: "output"}
        if self.io.context_input is not None:
            inputs[self.io.context_input] = "context"
        for state, at in zip(self.io.states, self.offsets, strict=True):
            inputs[state.input] = f"kept + {at}"
            outputs[state.output] = f"kept + {self.size + at}"
        arguments = [places[i] for places in (inputs, outputs) for i in range(len(places))]
        return [
            self.signature,
            "{",
            "    int8_t *const kept = (int8_t *)m->kept;",
            f"    {self.name}_run(m, {', '.join(arguments)});",
            f"    memcpy(kept, kept + {self.size}, {self.size});",
            "}",
        ]

    @property
    def _sizes(self) -> list[int]:
        return [state.size for state in self.io.states]

    @staticmethod
    def _room(size: int) -> int:
        return -(-size // 4) * 4
