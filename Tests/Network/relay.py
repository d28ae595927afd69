"""A link that delays packets and loses some, where the kernel has no netem: copies between two network devices.

    relay.py DEVICE DEVICE DELAY LOSS

What arrives at one device leaves by the other DELAY seconds later, but for the fraction LOSS of the packets. Prints
"ready" when it copies.
"""

import collections
import random
import select
import socket
import sys
import time

ALL_PROTOCOLS, SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 0x0003, 263, 15, 23


def port(device):
    """A socket for all packets of a device."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    # Checksums of packets within one machine are computed late: the header says where, and passes that on.
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    end.bind((device, 0))
    return end


def main(one, two, delay, loss):
    ends = [port(one), port(two)]
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    chance = random.Random(1)
    # All packets have the same delay, so they leave in the order in which they came.
    waiting = collections.deque()
    print("ready", flush=True)
    while True:
        timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        for end in select.select(ends, [], [], timeout)[0]:
            packet = end.recv(1 << 17)
            if chance.random() >= loss:
                waiting.append((time.monotonic() + delay, other[end], packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, end, packet = waiting.popleft()
            end.send(packet)


main(*sys.argv[1:3], float(sys.argv[3]), float(sys.argv[4]))
