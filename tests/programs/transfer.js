// transfer.js URL: sends 4 bodies at once and gets each back, then gets 4 more; prints what came, as digests.
const http = require("http");
const { createHash } = require("crypto");

const url = process.argv[2];
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });

function ask(path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(url + path, { agent, method: body ? "POST" : "GET" }, (answer) => {
      const hash = createHash("sha256");
      let count = 0;
      answer.on("data", (piece) => hash.update(piece) && (count += piece.length));
      answer.on("end", () => resolve(`${answer.statusCode} ${count} ${hash.digest("hex")}`));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function main() {
  const bodies = [1, 2, 3, 4].map((seed) => Buffer.alloc(700000 + seed, `body ${seed} `));
  console.log(await Promise.all(bodies.map((body) => ask("/", body))));
  console.log(await Promise.all([1, 2, 3, 4].map((seed) => ask(`/700000/${seed}`))));
  agent.destroy();
}

main().catch((error) => {
  console.log(error.code, error.syscall);
  process.exitCode = 3;
});
