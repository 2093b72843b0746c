// serve.js: an HTTP server that prints its port; what is posted comes back, piece by piece, as it arrives.
const http = require("http");

const server = http.createServer((request, answer) => {
  if (request.method === "GET") {
    answer.end(Buffer.alloc(Number(request.url.slice(1)), "an answer of node "));
  } else {
    answer.writeHead(200, { "Content-Length": request.headers["content-length"] });
    request.pipe(answer);
  }
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 256 }, () => console.log(server.address().port));
