// A connection that can be cut. `setOffline` of a browser lets requests through while a page is loaded anew; this lets nothing through.
import net from 'node:net'

/** Another address of `target`; until `mend` whoever connects after `cut`, or was connected, is hung up on. */
export async function wire(t, target) {
  const { hostname, port, pathname } = new URL(target)
  const sockets = new Set()
  let whole = true
  const keep = (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy())
    return socket
  }
  const listener = net.createServer((near) => {
    if (!whole) return near.destroy()
    const far = net.connect(Number(port), hostname)
    for (const [one, other] of [[keep(near), far], [keep(far), near]]) one.on('close', () => other.destroy()).pipe(other)
  })
  await new Promise((done) => { listener.listen(0, '127.0.0.1', done) })
  const cut = () => {
    whole = false
    for (const socket of sockets) socket.destroy()
  }
  t.after(() => {
    cut()
    listener.close()
  })
  return { address: `http://127.0.0.1:${listener.address().port}${pathname}`, cut, mend: () => { whole = true } }
}
