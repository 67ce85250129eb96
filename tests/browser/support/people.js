import { createHmac, randomUUID } from 'node:crypto';
import { stack } from './stack.js';

const HOUR_S = 3600;

/** A user nobody else has, so that tests do not see each other's sessions. `claims`: what else the token says. */
export function newPerson(name, { expiresInS = HOUR_S, claims = {} } = {}) {
  const id = `browser-${name}-${randomUUID()}`;
  const email = `${name}@example.com`;
  return { id, email, token: mint({ ...claims, sub: id, email, exp: Math.floor(Date.now() / 1000) + expiresInS }) };
}

/** A JWT as the user's own application would make it (HS256). */
function mint(claims) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', stack.jwtSecret).update(signed).digest('base64url')}`;
}
