import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { after, test } from 'node:test';
import { failureOf } from '../../test/failure.ts';
import { recordings } from '../../test/recordings.ts';
import { connect } from './connect.ts';

const closers: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closers) await close();
});

/** A frame as a server sends it: unmasked. */
function frame(opcode: number, payload: Buffer, final = true): Buffer {
  const head = Buffer.alloc(payload.length < 126 ? 2 : 4);
  head.writeUInt8((final ? 0x80 : 0) | opcode, 0);
  if (payload.length < 126) head.writeUInt8(payload.length, 1);
  else {
    head.writeUInt8(126, 1);
    head.writeUInt16BE(payload.length, 2);
  }
  return Buffer.concat([head, payload]);
}

/** The short frames that a client sent. */
function unmasked(bytes: Buffer): { channel: number; text: string }[] {
  const frames: { channel: number; text: string }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt8(at + 1) & 0x7f;
    const key = bytes.subarray(at + 2, at + 6);
    const data = bytes.subarray(at + 6, at + 6 + length).map((byte, index) => byte ^ (key[index % 4] ?? 0));
    frames.push({ channel: data[0] ?? -1, text: Buffer.from(data.subarray(1)).toString() });
    at += 6 + length;
  }
  return frames;
}

function channel(number: number, text: string): Buffer {
  return frame(2, Buffer.concat([Buffer.from([number]), Buffer.from(text)]));
}

const close = frame(8, Buffer.from([0x03, 0xe8]));
const success = channel(3, '{"metadata":{},"status":"Success"}');

/** A server that takes the upgrade, sends these bytes and says what it was asked. */
async function serve(
  speak: (socket: Duplex) => void,
  { accept = true, refuse }: { accept?: boolean; refuse?: { status: number; body: string } } = {},
) {
  const asked: { url: string; protocol: string | undefined; authorization: string | undefined }[] = [];
  const sockets: Duplex[] = [];
  const server = createServer((_, response) => response.end());
  server.on('upgrade', (request, socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    asked.push({
      url: request.url ?? '',
      protocol: request.headers['sec-websocket-protocol'],
      authorization: request.headers.authorization,
    });
    if (refuse !== undefined) {
      socket.end(
        `HTTP/1.1 ${refuse.status} No\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(refuse.body)}\r\n\r\n${refuse.body}`,
      );
      return;
    }
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const digest = accept ? createHash('sha1').update(key).digest('base64') : 'wrong';
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${digest}\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n`,
    );
    speak(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cluster = await connect({
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: 'secret-token',
    retryBaseMs: 1,
    maxExecBytes: 2000,
  });
  closers.push(async () => {
    await cluster.close();
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const target = { namespace: 'prod', pod: 'launcher', container: 'compute' };
  return {
    asked,
    cluster,
    run: (timeoutMs = 5000) => cluster.exec(target, ['virsh', 'dumpxml', 'a b&c'], { timeoutMs }),
  };
}

test('output and exit code; arguments are passed one by one', async () => {
  const { run, asked, cluster } = await serve((socket) => {
    const bytes = Buffer.concat([
      channel(1, ''),
      channel(1, 'to stdout '.repeat(30)),
      frame(9, Buffer.from('ping')),
      channel(2, 'to stderr'),
      frame(2, Buffer.concat([Buffer.from([1]), Buffer.from('in ')]), false),
      frame(0, Buffer.from('two')),
      success,
      close,
    ]);
    // One byte at a time: no frame may depend on how the network cuts it.
    for (const byte of bytes) socket.write(Buffer.from([byte]));
  });
  assert.deepEqual(await run(), { stdout: `${'to stdout '.repeat(30)}in two`, stderr: 'to stderr', exitCode: 0 });
  assert.equal(
    asked[0]?.url,
    '/api/v1/namespaces/prod/pods/launcher/exec?command=virsh&command=dumpxml&command=a+b%26c&container=compute&stdout=true&stderr=true',
  );
  assert.equal(asked[0]?.protocol, 'v5.channel.k8s.io,v4.channel.k8s.io');
  assert.equal(asked[0]?.authorization, 'Bearer secret-token');
  assert.deepEqual(cluster.requests, { exec: 1 });
});

test('a failed command has its exit code', async () => {
  const { run } = await serve((socket) => {
    socket.write(channel(2, 'error: failed to get domain'));
    socket.write(
      channel(
        3,
        '{"status":"Failure","message":"command terminated with exit code 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}',
      ),
    );
    socket.write(close);
  });
  assert.deepEqual(await run(), { stdout: '', stderr: 'error: failed to get domain', exitCode: 3 });
});

test('standard input is sent at once, and closed', async () => {
  const { cluster, asked } = await serve((socket) => {
    const frames: { channel: number; text: string }[] = [];
    socket.on('data', (bytes: Buffer) => {
      frames.push(...unmasked(bytes));
      if (frames.some(({ channel: number }) => number === 255)) {
        socket.write(Buffer.concat([channel(1, JSON.stringify(frames)), success, close]));
      }
    });
  });
  const target = { namespace: 'prod', pod: 'launcher', container: 'compute' };
  const { stdout } = await cluster.exec(target, ['dd'], { stdin: '<interface/>' });
  assert.deepEqual(JSON.parse(stdout), [
    { channel: 0, text: '<interface/>' },
    { channel: 255, text: '\0' },
  ]);
  assert.match(asked[0]?.url ?? '', /&stdin=true&/);
});

test('no close frame after the status is no fault', async () => {
  const { run } = await serve((socket) => socket.end(Buffer.concat([channel(1, 'x'), success])));
  assert.equal((await run()).stdout, 'x');
});

const faults: { name: string; speak: (socket: Duplex) => void; message: RegExp }[] = [
  {
    name: 'the node is out of reach',
    speak: (socket) =>
      socket.end(channel(3, '{"status":"Failure","message":"error dialing backend: connection refused","code":500}')),
    message: /prod\/launcher, container compute: error dialing backend/,
  },
  { name: 'no status', speak: (socket) => socket.end(channel(1, 'half')), message: /ended before the command did/ },
  {
    name: 'too much output',
    speak: (socket) => {
      for (let i = 0; i < 3; i += 1) socket.write(channel(1, 'x'.repeat(900)));
    },
    message: /more than 2000 bytes/,
  },
  { name: 'a masked frame', speak: (socket) => socket.write(Buffer.from([0x82, 0x81, 0, 0])), message: /MASK/ },
  {
    name: 'a frame beyond the limit',
    speak: (socket) => socket.write(Buffer.from([0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0])),
    message: /Max payload size exceeded|Unsupported WebSocket frame/,
  },
];
for (const { name, speak, message } of faults) {
  test(`${name}: cluster/exec`, async () => {
    const error = await failureOf((await serve(speak)).run());
    assert.equal(error.code, 'cluster/exec');
    assert.match(error.message, message);
  });
}

test('a command without end is given up', async () => {
  const error = await failureOf((await serve(() => {})).run(30));
  assert.equal(error.code, 'cluster/exec');
  assert.match(error.message, /did not end within 0.03 s/);
});

test('a server that is no WebSocket server: cluster/exec', async () => {
  assert.equal((await failureOf((await serve(() => {}, { accept: false })).run())).code, 'cluster/exec');
});

test('no right to exec: cluster/forbidden with the verb that RBAC wants', async () => {
  const body = JSON.stringify({
    kind: 'Status',
    reason: 'Forbidden',
    message: 'pods "launcher" is forbidden: ',
    code: 403,
  });
  const error = await failureOf((await serve(() => {}, { refuse: { status: 403, body } })).run());
  assert.equal(error.code, 'cluster/forbidden');
  assert.equal(error.message, 'no permission to create pods/exec in namespace prod');
});

test('no such pod: cluster/exec with what the server said', async () => {
  const body = JSON.stringify({ kind: 'Status', reason: 'NotFound', message: 'pods "launcher" not found', code: 404 });
  const error = await failureOf((await serve(() => {}, { refuse: { status: 404, body } })).run());
  assert.equal(error.code, 'cluster/exec');
  assert.match(error.message, /pods "launcher" not found/);
});

interface Recording {
  readonly id: string;
  readonly responseHead?: readonly string[];
  readonly serverFrames?: readonly {
    readonly opcode: number;
    readonly length: number;
    readonly channel?: number;
    readonly data?: string;
  }[];
}

const { path, skip } = recordings('exec-websocket.json');
test('frames recorded from a real API server are understood', { skip }, async () => {
  const conversations = JSON.parse(readFileSync(path, 'utf8')) as Recording[];
  let replayed = 0;
  for (const { id, responseHead, serverFrames = [] } of conversations) {
    const protocol = responseHead?.find((line) => line.startsWith('Sec-WebSocket-Protocol'));
    // Long payloads were left out of the recording.
    const whole = serverFrames.every(({ data }) => !/^<\d+ bytes>$/.test(data ?? ''));
    if (
      !/: v[45]\.channel/.test(protocol ?? '') ||
      !whole ||
      !serverFrames.some((one) => one.channel === 3 && one.data)
    )
      continue;
    const { run } = await serve((socket) => {
      for (const { opcode, channel: number = 0, data = '' } of serverFrames) {
        socket.write(opcode === 8 ? close : channel(number, data));
      }
    });
    const status = JSON.parse(serverFrames.find((one) => one.channel === 3 && one.data)?.data ?? '{}') as {
      status: string;
      reason?: string;
    };
    if (status.status === 'Success') assert.equal((await run()).exitCode, 0, id);
    else if (status.reason === 'NonZeroExitCode') assert.notEqual((await run()).exitCode, 0, id);
    else assert.equal((await failureOf(run())).code, 'cluster/exec', id);
    replayed += 1;
  }
  assert.ok(replayed > 10, `${replayed} conversations`);
});
