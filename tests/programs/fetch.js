// fetch.js URL: an HTTP request the way of Node; an error shows its code.
const http = require("http");
http
  .get(process.argv[2], { agent: false }, (answer) => {
    let body = "";
    answer.on("data", (piece) => (body += piece));
    answer.on("end", () => console.log(answer.statusCode, body));
  })
  .on("error", (error) => {
    console.log(error.code, error.syscall);
    process.exitCode = 3;
  });
