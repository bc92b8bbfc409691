// An HTTP server with keep-alive connections to itself, timers, and two worker threads that compute; what it prints does
// not depend on their order.
import { createHash } from "node:crypto";
import http from "node:http";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

function chain(seed, length) {
  let value = Buffer.from(String(seed));
  for (let n = 0; n < length; ++n) value = createHash("sha256").update(value).digest();
  return value.toString("hex");
}

if (!isMainThread) {
  parentPort.on("message", (seed) => parentPort.postMessage({ seed, value: chain(seed, workerData.length) }));
} else {
  const rounds = Number(process.argv[2]);
  const workers = [0, 1].map(() => new Worker(new URL(import.meta.url), { workerData: { length: 20000 } }));
  const ask = (worker, seed) => new Promise((resolve) => {
    worker.once("message", resolve);
    worker.postMessage(seed);
  });
  let ticks = 0;
  const clock = setInterval(() => ++ticks, 5);
  const server = http.createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => response.end(createHash("md5").update(body).digest("hex")));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const post = (body) => new Promise((resolve, reject) => {
    const request = http.request({ port: server.address().port, method: "POST", agent }, (response) => {
      let text = "";
      response.on("data", (part) => (text += part));
      response.on("end", () => resolve(text));
    });
    request.on("error", reject);
    request.end(body);
  });
  for (let round = 0; round < rounds; ++round) {
    const before = ticks;
    const hashes = workers.map((worker, n) => ask(worker, 2 * round + n));
    const replies = await Promise.all(Array.from({ length: 20 }, (_, n) => post("x".repeat(1000 * n + round))));
    const values = await Promise.all(hashes);
    console.log(round, values.map((value) => value.value.slice(0, 16)).join(" "),
      createHash("md5").update(replies.join()).digest("hex"));
    if (ticks === before) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  clearInterval(clock);
  agent.destroy();
  server.close();
  await Promise.all(workers.map((worker) => worker.terminate()));
}
