// The peer Node `ws': one process; a token is checked at the handshake and at each poll.
//
//   node ws.js PORT KEYFILE
//
// GET /ws?token=    a socket
// GET /poll         answered at once: nothing new
// GET /hold?after=N answered by the event after N, or at once by the last
// POST /pub         the body is an event: to all sockets and all who are held

import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { bodyOf, checker } from "./token.js";

const [port, keyFile] = process.argv.slice(2);
const check = checker(keyFile);
const held = new Set();
let number = 0;
let last = "";

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });

function answer(response, text) {
	response.writeHead(200, { "Content-Type": "application/json",
		"Content-Length": Buffer.byteLength(text), "Cache-Control": "no-store" });
	response.end(text);
}

function publish(text) {
	const frame = Buffer.from(text);
	for (const socket of sockets.clients)
		socket.send(frame, { binary: false });
	last = `{"events":[${text}],"timestamp":"${++number}"}`;
	for (const response of held)
		answer(response, last);
	held.clear();
}

const server = createServer(async (request, response) => {
	const [path, query] = request.url.split("?");
	if (request.method === "POST" && path === "/pub") {
		publish(await bodyOf(request));
		response.writeHead(204).end();
		return;
	}
	if (!check(request.headers.authorization?.slice("Bearer ".length))) {
		response.writeHead(401).end();
		return;
	}
	if (path === "/hold") {
		if (Number(new URLSearchParams(query).get("after")) !== number) {
			answer(response, last);
			return;
		}
		held.add(response);
		response.on("close", () => held.delete(response));
		return;
	}
	answer(response, `{"events":[],"timestamp":"${number}"}`);
});
server.keepAliveTimeout = 0;
server.requestTimeout = 0;
server.on("upgrade", (request, socket, head) => {
	if (!check(new URLSearchParams(request.url.split("?")[1]).get("token"))) {
		socket.destroy();
		return;
	}
	sockets.handleUpgrade(request, socket, head, (ws) => ws.on("error", () => ws.terminate()));
});
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
process.on("SIGTERM", () => process.exit(0));
