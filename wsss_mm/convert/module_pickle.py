"""Carry out the instructions of a TorchScript pickle that make modules and tensors.

Any other instruction, and any function that the pickle wants to call, is refused;
nothing is imported or run.
"""

import math
import pickletools
from dataclasses import dataclass, field
from typing import Any

import torch

from wsss_mm.utils.errors import InputError

DTYPES = {
    'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16,
    'FloatStorage': torch.float32,
    'DoubleStorage': torch.float64,
    'ByteStorage': torch.uint8,
    'CharStorage': torch.int8,
    'ShortStorage': torch.int16,
    'IntStorage': torch.int32,
    'LongStorage': torch.int64,
    'BoolStorage': torch.bool,
}
TENSOR = 'torch._utils _rebuild_tensor_v2'
PARAMETER = 'torch._utils _rebuild_parameter'
DICT = 'collections OrderedDict'
LISTS = frozenset(
    f'torch.jit._pickle build_{kind}list'
    for kind in ('int', 'double', 'bool', 'tensor')
)
# Names of values that are constants to the interpreter.
CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
VALUES = frozenset(
    {'BININT', 'BININT1', 'BININT2', 'LONG1', 'BINFLOAT', 'BINUNICODE'}
    | {'SHORT_BINUNICODE', 'BINSTRING', 'SHORT_BINSTRING'}
)
# Far above any network: a forged archive must not fill the memory, or take for ever.
MOST_DIMENSIONS = 32


@dataclass
class Module:
    """A module of the archive: the name of its class, and what it holds."""

    name: str
    state: Any = None


@dataclass(frozen=True)
class Name:
    """A function or class that the pickle names; nothing is imported."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Where the values of a tensor are."""

    dtype: torch.dtype
    key: str
    size: int


@dataclass(frozen=True)
class Stored:
    """A tensor that has not been read yet."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass
class Machine:
    """What carries out a pickle's instructions.

    Attributes:
        stack: Values so far.
        marks: Where on the stack a tuple, list or dict begins.
        memo: Values by number, to be used again.
    """

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def pop(self) -> Any:
        """Take the last value, of those behind the last mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise InputError('it takes a value where there is none')
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        """Take all values behind the last mark."""
        if not self.marks:
            raise InputError('it closes a list that was not opened')
        at = self.marks.pop()
        values = self.stack[at:]
        del self.stack[at:]
        return values

    def top(self, kind: type) -> Any:
        """Look at the last value, which must be of a kind."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise InputError(f'it fills something that is no {kind.__name__}')
        return self.stack[-1]

    def run(self, code: str, argument: Any) -> None:
        """Carry out one instruction.

        Raises:
            InputError: If it is none of those that weights need.
        """
        step = STEPS.get(code)
        if code in CONSTANTS:
            self.stack.append(CONSTANTS[code])
        elif code in VALUES:
            self.stack.append(argument)
        elif step is not None:
            step(self, argument)
        else:
            raise InputError(f'it holds the instruction {code}, which weights do not')

    def put(self, number: int) -> None:
        """Keep the last value under a number."""
        self.memo[number] = self.top(object)

    def get(self, number: int) -> None:
        """Use a kept value again."""
        if number not in self.memo:
            raise InputError(f'it uses value {number}, which it has not made')
        self.stack.append(self.memo[number])

    def make_tuple(self, size: int) -> None:
        """Make a tuple of the last values."""
        self.stack.append(tuple(self.pop() for _ in range(size))[::-1])

    def set_items(self, pairs: list[Any]) -> None:
        """Put keys and values, one after the other, into a dict."""
        if len(pairs) % 2:
            raise InputError('a key of a dict has no value')
        whole = self.top(dict)
        for key, value in zip(pairs[::2], pairs[1::2]):
            if not isinstance(key, (str, int)):
                raise InputError('a key of a dict is not text')
            whole[key] = value

    def set_item(self) -> None:
        """Put one key and value into a dict."""
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def append(self) -> None:
        """Put one value into a list."""
        value = self.pop()
        self.top(list).append(value)

    def new_module(self) -> None:
        """Make a module of the class that is named."""
        arguments, named = self.pop(), self.pop()
        if not isinstance(named, Name) or arguments != ():
            raise InputError('it makes an object that is not a module')
        if not named.name.startswith('__torch__'):
            raise InputError(f'it makes an object of {named.name!r}, no module')
        self.stack.append(Module(named.name))

    def build(self) -> None:
        """Fill a module."""
        state = self.pop()
        self.top(Module).state = state

    def persistent(self) -> None:
        """Look up where values are stored."""
        self.stack.append(storage_of(self.pop()))

    def call(self) -> None:
        """Make what a function of the few that are known would."""
        arguments, named = self.pop(), self.pop()
        name = named.name if isinstance(named, Name) else repr(named)[:40]
        if not isinstance(arguments, tuple):
            raise InputError(f'it calls {name} without arguments')
        first = arguments[0] if arguments else None
        if name == TENSOR:
            self.stack.append(stored_of(arguments))
        elif (name in LISTS and isinstance(first, list)) or (
            name == PARAMETER and isinstance(first, Stored)
        ):
            self.stack.append(first)
        elif name == DICT and not arguments:
            self.stack.append({})
        else:
            raise InputError(f'it calls {name!r}, which is not run')


STEPS: dict[str, Any] = {
    'PROTO': lambda machine, _: None,
    'GLOBAL': lambda machine, name: machine.stack.append(Name(name)),
    'BINPUT': Machine.put,
    'LONG_BINPUT': Machine.put,
    'BINGET': Machine.get,
    'LONG_BINGET': Machine.get,
    'MARK': lambda machine, _: machine.marks.append(len(machine.stack)),
    'EMPTY_TUPLE': lambda machine, _: machine.stack.append(()),
    'EMPTY_LIST': lambda machine, _: machine.stack.append([]),
    'EMPTY_DICT': lambda machine, _: machine.stack.append({}),
    'TUPLE': lambda machine, _: machine.stack.append(tuple(machine.pop_mark())),
    'TUPLE1': lambda machine, _: machine.make_tuple(1),
    'TUPLE2': lambda machine, _: machine.make_tuple(2),
    'TUPLE3': lambda machine, _: machine.make_tuple(3),
    'APPEND': lambda machine, _: machine.append(),
    'APPENDS': lambda machine, _: add_all(machine),
    'SETITEM': lambda machine, _: machine.set_item(),
    'SETITEMS': lambda machine, _: machine.set_items(machine.pop_mark()),
    'NEWOBJ': lambda machine, _: machine.new_module(),
    'BUILD': lambda machine, _: machine.build(),
    'BINPERSID': lambda machine, _: machine.persistent(),
    'REDUCE': lambda machine, _: machine.call(),
}


def add_all(machine: Machine) -> None:
    """Put all values behind the last mark into the list before it."""
    values = machine.pop_mark()
    machine.top(list).extend(values)


def storage_of(found: Any) -> Storage:
    """Check where the pickle says that values are.

    Raises:
        InputError: If that is not a storage.
    """
    if not (isinstance(found, tuple) and len(found) == 5 and found[0] == 'storage'):
        raise InputError('it asks for something that is not a storage')
    _, kind, key, _, size = found
    name = kind.name if isinstance(kind, Name) else ''
    dtype = DTYPES.get(name.removeprefix('torch '))
    if dtype is None:
        raise InputError(f'values are of the kind {name!r}, which is not read')
    if not isinstance(key, str) or not is_size(size):
        raise InputError('a storage has no key or no size')
    return Storage(dtype, key, size)


def stored_of(arguments: tuple[Any, ...]) -> Stored:
    """Check what the pickle says of a tensor against its storage.

    Raises:
        InputError: If it is not a tensor, or reaches beyond its storage.
    """
    if len(arguments) < 4 or not isinstance(arguments[0], Storage):
        raise InputError('a tensor has no storage')
    storage, offset, shape, strides = arguments[:4]
    for sizes in (shape, strides):
        if not isinstance(sizes, tuple) or not all(map(is_size, sizes)):
            raise InputError('a tensor has no shape')
    if not is_size(offset) or len(shape) != len(strides):
        raise InputError('a tensor has no place in its storage')
    if len(shape) > MOST_DIMENSIONS:
        raise InputError(f'a tensor has {len(shape)} dimensions')
    numel = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides))
    if numel > storage.size or (numel and last >= storage.size):
        raise InputError(
            f'a tensor of shape {shape} reaches beyond the {storage.size} values of '
            f'its storage {storage.key!r}'
        )
    return Stored(storage, offset, shape, strides)


def is_size(value: Any) -> bool:
    """Say whether a value counts something."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def interpret(data: bytes) -> Any:
    """Carry out a pickle, and give what it makes: modules of values and `Stored`.

    Args:
        data: The pickle.

    Raises:
        InputError: If it is damaged, or wants more than weights need.
    """
    machine = Machine()
    for code, argument, at in pickletools.genops(data):
        if code.name == 'STOP':
            break
        try:
            machine.run(code.name, argument)
        except InputError as error:
            raise InputError(f'data.pkl, byte {at}: {error}') from error
    if len(machine.stack) != 1 or machine.marks:
        raise InputError('data.pkl ends in the middle')
    return machine.stack[0]
