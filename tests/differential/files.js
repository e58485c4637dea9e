// An upstream of the differential test: files, found by a hurried hand. The whole target is decoded twice, and only
// then is the query cut off and the path resolved.
//
//   node files.js PORT APP OPEN
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");

const [port, app, open] = process.argv.slice(2);

const server = http.createServer({ insecureHTTPParser: true, maxHeaderSize: 65536 }, (request, response) => {
  const host = (request.headers.host || "").split(":")[0].replace(/\.$/, "").toLowerCase();
  const root = host === "open.example.test" ? open : app;
  try {
    let target = request.url.replace(/^https?:\/\/[^/]*/i, "");
    for (let times = 0; times < 2; times += 1) target = decodeURIComponent(target);
    const file = path.join(root, path.posix.resolve("/", target.split(/[?#]/)[0]));
    response.end(fs.readFileSync(file));
  } catch {
    response.statusCode = 404;
    response.end("nothing here\n");
  }
});
server.listen(Number(port), "127.0.0.1");
