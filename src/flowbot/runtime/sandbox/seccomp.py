"""The filter of system calls for confined code, as the program that Linux takes (classic BPF, `man 2 seccomp`).

Namespaces and limits leave a few ways open that a filter closes. No process or thread is made: limits on their number
do not hold for the system's root. No socket is made: some families (AF_VSOCK) do not heed network namespaces. No memory
is had outside the address space, which is what is bounded. And the calls that have most often led out of a container are
shut: new namespaces, mounts, tracing, keys, eBPF, io_uring. What is refused fails with EPERM, an ordinary Python error.
"""

from __future__ import annotations

import struct

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""`AUDIT_ARCH_*` by the machine's name."""
_REFUSED: dict[str, tuple[int | None, int | None]] = {  # numbers on x86_64 and aarch64
    # processes and threads
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "clone3": (435, 435),
    # sockets
    "socket": (41, 198),
    # memory that the limit on the address space does not count
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsmount": (432, 432), "mount_setattr": (442, 442), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    # the kernel
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "personality": (135, 92),
    "syslog": (103, 116), "kexec_load": (246, 104), "init_module": (175, 105), "finit_module": (313, 273),
}  # fmt: skip

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4  # in struct seccomp_data
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050001, 0x7FFF0000  # the second: errno EPERM
_X32 = 0x40000000  # the other calling convention of x86_64, with numbers of its own


def system_call_filter(machine: str) -> bytes:
    """The filter for a machine as `platform.machine()` names it.

    Raises:
        KeyError: for a machine whose system calls are not known here.
    """
    architecture = _ARCHITECTURES[machine]
    column = list(_ARCHITECTURES).index(machine)
    program = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_EQUAL, architecture, skip_if=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":
        program += [_step(_AT_LEAST, _X32, skip_unless=1), _step(_RETURN, _REFUSE)]
    for numbers in _REFUSED.values():
        number = numbers[column]
        if number is not None:
            program += [_step(_EQUAL, number, skip_unless=1), _step(_RETURN, _REFUSE)]
    return b"".join([*program, _step(_RETURN, _ALLOW)])


def _step(operation: int, value: int, *, skip_if: int = 0, skip_unless: int = 0) -> bytes:
    """One `struct sock_filter`; a comparison skips so many steps when it holds or does not."""
    return struct.pack("=HBBI", operation, skip_if, skip_unless, value)
