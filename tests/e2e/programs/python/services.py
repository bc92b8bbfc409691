"""asyncio servers and clients in one loop, with a pool of processes (multiprocessing: queues, shared memory, a lock) behind."""
import asyncio
import hashlib
import multiprocessing
import sys
from multiprocessing import shared_memory


def worker(orders, answers, name, lock):
    memory = shared_memory.SharedMemory(name)
    for number, text in iter(orders.get, None):
        for _ in range(1500):
            text = hashlib.sha256(text.encode()).hexdigest()
        with lock:
            count = int.from_bytes(memory.buf[:8], "little") + 1
            memory.buf[:8] = count.to_bytes(8, "little")
        answers.put((number, text))
    memory.close()


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line[::-1].strip() + b"\n")
        await writer.drain()
    writer.close()


async def client(port, number, rounds):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    seen = hashlib.md5()
    for step in range(rounds):
        writer.write(f"{number}-{step}-{'y' * (step % 500)}\n".encode())
        seen.update(await reader.readline())
        if step % 20 == 0:
            await asyncio.sleep(0.001)
    writer.close()
    return seen.hexdigest()


async def main():
    rounds = int(sys.argv[1])
    orders, answers, lock = multiprocessing.Queue(), multiprocessing.Queue(), multiprocessing.Lock()
    memory = shared_memory.SharedMemory(create=True, size=4096)
    workers = [multiprocessing.Process(target=worker, args=(orders, answers, memory.name, lock)) for _ in range(2)]
    for process in workers:
        process.start()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    for step in range(rounds):
        for number in range(20):
            orders.put((number, f"{step}.{number}"))
        digests = await asyncio.gather(*(client(port, number, 60) for number in range(5)))
        results = sorted([await loop.run_in_executor(None, answers.get) for _ in range(20)])
        print(step, hashlib.md5(repr((digests, results)).encode()).hexdigest(), flush=True)
    for _ in workers:
        orders.put(None)
    for process in workers:
        process.join()
    print("counted", int.from_bytes(memory.buf[:8], "little") - 20 * rounds)
    memory.close()
    memory.unlink()
    server.close()


asyncio.run(main())
