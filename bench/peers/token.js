// The check of a token as the peers in Node.js make it: HS256 (RFC 7515), by node:crypto
// with a key object, and the time at which it ends.

import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

// A function that takes a token and returns its claims, or null.
export function checker(keyFile) {
	const key = createSecretKey(Buffer.from(readFileSync(keyFile, "utf8").trimEnd()));
	return (token) => {
		const [head, body, signature] = (token ?? "").split(".");
		if (signature === undefined)
			return null;
		const want = createHmac("sha256", key).update(`${head}.${body}`).digest();
		const got = Buffer.from(signature, "base64url");
		if (got.length !== want.length || !timingSafeEqual(got, want))
			return null;
		if (JSON.parse(Buffer.from(head, "base64url")).alg !== "HS256")
			return null;
		const claims = JSON.parse(Buffer.from(body, "base64url"));
		return claims.exp > Date.now() / 1000 ? claims : null;
	};
}

// The whole body of a request, as text.
export function bodyOf(request) {
	return new Promise((resolve, reject) => {
		const parts = [];
		request.on("data", (part) => parts.push(part));
		request.on("end", () => resolve(Buffer.concat(parts).toString()));
		request.on("error", reject);
	});
}
