"""Bytes through the module `xtls` of Python, beside the engine by itself: both ends in memory, in one thread, by turns."""

import statistics
import subprocess
import sys
import time

import xtls

JIDS = "romeo@montague.example/orchard-7f3a9c", "juliet@capulet.example/balcony-51be02"
WRITE, SIZE, ROUNDS, GATE = 64 * 1024, 32 * 1024 * 1024, 75, 0.7


class Pair:
    """The same as the example `bare` of xtls-bindings."""

    def __init__(self, block):
        settings = {
            "block_size": block, "window": 32, "receive_buffer": 4 << 20, "send_buffer": 1 << 20, "stamp_from": True,
        }
        identities = [xtls.Identity.generate(jid) for jid in JIDS]
        self.ends = []
        for end in (0, 1):
            store = xtls.MemoryStore()
            store.pin(JIDS[1 - end], identities[1 - end].fingerprint)
            self.ends.append(xtls.Engine(JIDS[end], identities[end], store, settings=settings))
        his = self.ends[0].initiate(JIDS[1], trust="pinned", application="bytes", check_support=False)
        self.carry()
        hers = self.ends[1].poll_event().id
        self.ends[1].accept(hers, trust="pinned")
        while self.carry():
            pass
        self.ids = his, hers

    def carry(self):
        moved = False
        for one, other in (self.ends, self.ends[::-1]):
            while (stanza := one.poll_transmit()) is not None:
                moved = True
                other.handle_stanza(stanza)
        return moved

    def transfer(self, size):
        (romeo, juliet), (his, hers) = self.ends, self.ids
        data = bytes([7]) * WRITE
        written = received = 0
        while received < size:
            room = True
            while room and written < size:
                part = data if size - written >= WRITE else data[: size - written]
                count = romeo.write(his, part)
                written += count
                room = count == len(part)
            self.carry()
            for end in self.ends:
                while end.poll_event() is not None:
                    pass
            received += len(juliet.read(hers))


def on_cpu(pid):
    """Seconds that a process was on a CPU: what waits for other processes does not count."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


def main(bare, blocks):
    print(f"{SIZE >> 20} MiB in writes of {WRITE >> 10} KiB, {ROUNDS} rounds by turns, by time on the CPU; MB/s are the medians")
    met = True
    for block in blocks:
        pair = Pair(block)
        with subprocess.Popen([bare, str(block)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

            def alone():
                start = on_cpu(process.pid)
                process.stdin.write(f"{SIZE}\n")
                process.stdin.flush()
                process.stdout.readline()
                # It has answered, and is about to wait.
                time.sleep(0.01)
                return on_cpu(process.pid) - start

            def bound():
                start = time.process_time()
                pair.transfer(SIZE)
                return time.process_time() - start

            alone(), bound()
            pairs = []
            for turn in range(ROUNDS):
                # Whatever else the machine does, it does to both.
                if turn % 2:
                    pairs.append((alone(), bound()))
                else:
                    there = bound()
                    pairs.append((alone(), there))
            process.stdin.close()
        ratios = [one / other for one, other in pairs]
        speed = [SIZE / 1e6 / statistics.median(times) for times in zip(*pairs)]
        low, median, high = statistics.quantiles(ratios, n=4)
        print(f"blocks of {block}: engine {speed[0]:.0f}, Python {speed[1]:.0f}; ratio {median:.2f} [{low:.2f}..{high:.2f}]")
        met &= median >= GATE
    return 0 if met else f"a ratio is below {GATE}"


sys.exit(main(sys.argv[1], [int(block) for block in sys.argv[2:]] or [4096, 32760]))
