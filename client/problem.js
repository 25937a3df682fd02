// Why something failed, in the words of the protocol (docs/protocol.md, section 4).

const ADVICE_MAX_MS = 300000;		// no server sends us away for longer

export class SidewireError extends Error {
	// problem: { code, status, title, detail, retryAfterMs } as far as it is known.
	constructor({ code = 'unavailable', status = 0, title = '', detail = '', retryAfterMs = 0 }, cause) {
		super(detail || title || code, cause && { cause });
		this.name = 'SidewireError';
		this.code = code;
		this.status = status;
		this.detail = detail;
		this.retryAfterMs = Math.min(Math.max(Number(retryAfterMs) || 0, 0), ADVICE_MAX_MS);
	}

	// Whether the same thing may work later.
	get isPassing() {
		return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
	}
}

// Whether an error says that this user may not be here: no token, a bad one, or one that
// a server of ours (no captive portal) turns away for good.
export function isRefusal(error) {
	return error?.isFinal || error?.status === 401 || (error?.status === 403 && error.isOurs);
}

// The header's seconds or date (RFC 9110 section 10.2.3) in milliseconds.
function retryAfterMs(text, now) {
	if (!text)
		return 0;
	const seconds = Number(text);
	return Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - now;
}

// The error that a response other than a success stands for.
export async function problemOf(response, now) {
	const body = await response.json().catch(() => null);
	const isOurs = typeof body?.code === 'string';
	return Object.assign(new SidewireError({
		code: isOurs ? body.code : 'unavailable',
		status: response.status,
		title: String(body?.title ?? `HTTP ${response.status}`),
		detail: typeof body?.detail === 'string' ? body.detail : '',
		retryAfterMs: retryAfterMs(response.headers.get('Retry-After'), now),
	}), { isOurs });
}

// "retry=SECONDS" of a close frame's reason, in milliseconds.
export function closeAdviceMs(reason) {
	const seconds = /\bretry=(\d{1,6})\b/.exec(reason)?.[1] ?? 0;
	return Math.min(seconds * 1000, ADVICE_MAX_MS);
}
