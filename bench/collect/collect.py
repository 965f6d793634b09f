"""Durable acceptance per protocol, beside rsyslog and syslog-ng: the same lines over the same kind of
connection, in one run, each writing to disk.

    collect.py WATCHFLOOR ASIDE FOLDER EVENTS

accept: until all lines are on disk as they came (Watchfloor: in the synced journal; the others: in a
file of raw lines, which they do not sync). parse and store: until all lines are parsed and written
(Watchfloor: decoded, normalized to OCSF, judged by the built-in rules, in the lake's files; the
others: as JSON of the syslog header's fields in a file).
"""
import json, os, re, shutil, socket, subprocess, sys, threading, time
from http.client import HTTPConnection

program, aside, folder, events = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
CONNECTIONS = 2
BODY_LINES = 2000


def line(i):
    kind = i % 4
    head = f"<{38 - kind}>Nov 30 22:{i // 60 % 60:02}:{i % 60:02} web-{i % 40:02} "
    if kind == 0:
        return head + f"sshd[{1000 + i % 500}]: Failed password for invalid user user{i % 300} from 203.0.113.{i % 250} port {20000 + i % 40000} ssh2"
    if kind == 1:
        return head + f"CRON[{i % 9000}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"
    if kind == 2:
        return head + f"kernel: [UFW BLOCK] IN=eth0 OUT= MAC=00:16:3e:aa:bb:cc SRC=198.51.100.{i % 250} DST=10.0.0.{i % 200} LEN=60 TOS=0x00 TTL=49 ID={i % 65000} PROTO=TCP SPT={20000 + i % 40000} DPT=22 WINDOW=64240 SYN"
    return head + f"sudo:   user{i % 300} : TTY=pts/0 ; PWD=/home/user{i % 300} ; USER=root ; COMMAND=/usr/bin/systemctl restart shop-{i % 50}.service"


def port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connect(number):
    for _ in range(400):
        try:
            return socket.create_connection(("127.0.0.1", number))
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {number}")


def send_tcp(number, pieces):
    """Sends by several connections at once; returns when all was written."""
    sockets = [connect(number) for _ in pieces]
    begin = time.monotonic()
    threads = [threading.Thread(target=s.sendall, args=(p,)) for s, p in zip(sockets, pieces)]
    for t in threads: t.start()
    for t in threads: t.join()
    return begin, sockets


def until_lines(path, count, begin):
    seen, file = 0, None
    while seen < count:
        if file is None and os.path.exists(path):
            file = open(path, "rb")
        got = file.read(1 << 24) if file else b""
        if got:
            seen += got.count(b"\n")
        else:
            if time.monotonic() - begin > 600: raise SystemExit(f"{path}: {seen} of {count}")
            time.sleep(0.005)
    return time.monotonic() - begin


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def say(who, what, seconds, used, memory):
    print(f"{who:<34} {what:<16} {events / seconds:>10,.0f} events/s  {used / events * 1e6:>6.2f} µs CPU/event  {memory:>5.0f} MiB", flush=True)


def memory(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) / 1024


class Watchfloor:
    def __init__(self, name, config=""):
        self.data = os.path.join(folder, name)
        path = self.data + ".toml"
        with open(path, "w") as f: f.write(config)
        arguments = [program, "serve", "--listen", "127.0.0.1:0", "--syslog", "127.0.0.1:0", "--data", self.data, "--config", path]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.host = self.process.stdout.readline().strip().split("//")[1]
        self.token = subprocess.check_output([program, "admin", "token", "--scope", "admin", "--data", self.data], text=True).strip()
        status = self.get("/api/v1/status")
        self.ports = {one["kind"]: int(one["address"].rsplit(":", 1)[1]) for one in json.loads(status)["listeners"] if ":" in one["address"]}

    def get(self, path):
        c = HTTPConnection(self.host)
        c.request("GET", path, headers={"Authorization": "Bearer " + self.token})
        return c.getresponse().read().decode()

    def figures(self):
        text = self.get("/metrics")
        value = lambda name: int(float(re.search(rf"^{name} (\S+)$", text, re.M)[1]))
        return value("watchfloor_records_stored_total"), value("watchfloor_journal_pending_records")

    def measure(self, who, begin, used):
        accepted = None
        while True:
            stored, pending = self.figures()
            now = time.monotonic() - begin
            if accepted is None and stored + pending >= events:
                accepted = now
                say(who, "accept", accepted, cpu(self.process.pid) - used, memory(self.process.pid))
            if stored >= events:
                say(who, "parse and store", now, cpu(self.process.pid) - used, memory(self.process.pid))
                return
            if now > 900: raise SystemExit(f"{who}: {stored} stored, {pending} pending")
            time.sleep(0.02)

    def end(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.data, ignore_errors=True)


def syslog_pieces(lines, end=b"\n"):
    return [end.join(lines[i::CONNECTIONS]) + end for i in range(CONNECTIONS)]


def http_bodies(lines, protocol):
    for start in range(0, len(lines), BODY_LINES):
        part = [text.decode() for text in lines[start:start + BODY_LINES]]
        docs = [json.dumps({"message": text}) for text in part]
        if protocol == "ndjson": yield "/ingest/ndjson", "application/x-ndjson", "\n".join(docs)
        elif protocol == "_bulk": yield "/bench/_bulk", "application/x-ndjson", "".join('{"index":{}}\n' + doc + "\n" for doc in docs)
        elif protocol == "hec": yield "/services/collector", "application/json", "".join(json.dumps({"event": text, "sourcetype": "syslog"}) for text in part)
        elif protocol == "otlp json":
            logs = [{"timeUnixNano": "1795428000000000000", "severityText": "INFO", "body": {"stringValue": text}} for text in part]
            resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "bench"}}]}
            yield "/v1/logs", "application/json", json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": logs}]}]})
        elif protocol == "loki json":
            yield "/loki/api/v1/push", "application/json", json.dumps({"streams": [{"stream": {"job": "bench"}, "values": [["1795428000000000000", text] for text in part]}]})


def http(lines, protocol):
    server = Watchfloor("http-" + protocol.replace(" ", "-"))
    bodies = [(path, kind, body.encode()) for path, kind, body in http_bodies(lines, protocol)]
    def run(share):
        c = HTTPConnection(server.host)
        for path, kind, body in share:
            c.request("POST", path, body, {"Authorization": "Bearer " + server.token, "Content-Type": kind})
            answer = c.getresponse()
            answer.read()
            if answer.status >= 300: raise SystemExit(f"{protocol}: {answer.status}")
    used = cpu(server.process.pid)
    begin = time.monotonic()
    threads = [threading.Thread(target=run, args=(bodies[i::CONNECTIONS],)) for i in range(CONNECTIONS)]
    for t in threads: t.start()
    for t in threads: t.join()
    server.measure(f"watchfloor, {protocol}", begin, used)
    server.end()


def watchfloor_tcp(lines, who, kind, config="", end=b"\n"):
    server = Watchfloor("tcp-" + kind, config)
    pieces = syslog_pieces(lines, end)
    used = cpu(server.process.pid)
    begin, sockets = send_tcp(server.ports[kind], pieces)
    server.measure(who, begin, used)
    server.end()


def other(lines, who, what, command, number, path, env=None):
    if os.path.exists(path): os.remove(path)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    pieces = syslog_pieces(lines)
    connect(number).close()
    used = cpu(process.pid)
    begin, sockets = send_tcp(number, pieces)
    for s in sockets: s.close()
    seconds = until_lines(path, events, begin)
    say(who, what, seconds, cpu(process.pid) - used, memory(process.pid))
    process.kill()
    process.wait()
    os.remove(path)


def rsyslog(lines, what, template):
    number, out, conf = port(), os.path.join(folder, "rsyslog.out"), os.path.join(folder, "rsyslog.conf")
    with open(conf, "w") as f:
        f.write(f'''global(workDirectory="{folder}")
main_queue(queue.size="200000" queue.workerThreads="2")
module(load="imtcp" maxSessions="64")
input(type="imtcp" port="{number}" address="127.0.0.1" ruleset="r")
{template}
ruleset(name="r" queue.type="LinkedList" queue.size="200000" queue.workerThreads="2") {{ action(type="omfile" file="{out}" template="t" ioBufferSize="256k") }}
''')
    other(lines, "rsyslog", what, ["/usr/sbin/rsyslogd", "-n", "-f", conf, "-i", os.path.join(folder, "rsyslog.pid")], number, out)


def syslog_ng(lines, what, template):
    number, out, conf = port(), os.path.join(folder, "ng.out"), os.path.join(folder, "ng.conf")
    with open(conf, "w") as f:
        f.write(f'''@version: 3.38
options {{ threaded(yes); log-fifo-size(2000000); flush-lines(1000); keep-hostname(yes); use-dns(no); stats-freq(0); }};
source s {{ network(ip("127.0.0.1") port({number}) transport("tcp") max-connections(64) log-iw-size(200000) log-fetch-limit(10000)); }};
destination d {{ file("{out}" template("{template}\\n")); }};
log {{ source(s); destination(d); flags(flow-control); }};
''')
    env = dict(os.environ, LD_LIBRARY_PATH=f"{aside}/usr/lib/syslog-ng")
    command = [f"{aside}/usr/sbin/syslog-ng", "-F", "--no-caps", "--module-path", f"{aside}/usr/lib/syslog-ng/3.38", "-f", conf,
               "-R", f"{folder}/ng.persist", "-p", f"{folder}/ng.pid", "-c", f"{folder}/ng.ctl"]
    other(lines, "syslog-ng", what, command, number, out, env)


lines = [line(i).encode() for i in range(events)]
print(f"{events:,} lines of {sum(map(len, lines)) // events} bytes, {CONNECTIONS} connections, {os.cpu_count()} cores, sender included", flush=True)
if os.path.exists("/usr/sbin/rsyslogd"):
    rsyslog(lines, "accept", 'template(name="t" type="string" string="%rawmsg%\\n")')
    rsyslog(lines, "parse and store", '''template(name="t" type="list") { constant(value="{") property(name="timereported" dateFormat="rfc3339" format="jsonf" outname="time") constant(value=",") property(name="hostname" format="jsonf" outname="host") constant(value=",") property(name="app-name" format="jsonf" outname="app") constant(value=",") property(name="procid" format="jsonf" outname="pid") constant(value=",") property(name="pri" format="jsonf" outname="pri") constant(value=",") property(name="msg" format="jsonf" outname="message") constant(value="}\\n") }''')
if os.path.exists(f"{aside}/usr/sbin/syslog-ng"):
    syslog_ng(lines, "accept", "<$PRI>$DATE $HOST $MSGHDR$MSG")
    syslog_ng(lines, "parse and store", "$(format-json --scope rfc3164 --key ISODATE)")
watchfloor_tcp(lines, "watchfloor, syslog over TCP", "syslog-tcp")
gelf = [json.dumps({"version": "1.1", "host": "bench", "short_message": text.decode()}).encode() for text in lines]
watchfloor_tcp(gelf, "watchfloor, gelf over TCP", "gelf", '[sources.g]\nkind = "gelf"\nlisten = "127.0.0.1:0"\n', b"\0")
for protocol in ["ndjson", "_bulk", "hec", "otlp json", "loki json"]:
    http(lines, protocol)
