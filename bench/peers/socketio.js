// The peer Socket.IO: one process; a token is checked at the handshake.
//
//   node socketio.js PORT KEYFILE
//
// GET /socket.io/?EIO=4&transport=websocket&token=    a socket
// POST /pub                                           the body is an event, to all

import { createServer } from "node:http";
import { Server } from "socket.io";
import { bodyOf, checker } from "./token.js";

const [port, keyFile] = process.argv.slice(2);
const check = checker(keyFile);

const server = createServer(async (request, response) => {
	if (request.method !== "POST" || request.url !== "/pub") {
		response.writeHead(404).end();
		return;
	}
	io.emit("event", JSON.parse(await bodyOf(request)));
	response.writeHead(204).end();
});
server.keepAliveTimeout = 0;
server.requestTimeout = 0;
const io = new Server(server, { serveClient: false, transports: ["websocket"] });
io.use((socket, next) =>
	next(check(socket.handshake.query.token) ? undefined : new Error("Invalid token")));
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
process.on("SIGTERM", () => process.exit(0));
