"""What all scenarios share: records of many sources, and a benign background that also trips rules.

Standard library only; seeded per scenario. Addresses of the outside are from the documentation
networks (RFC 5737). Records of Windows, auditd, Zeek and Suricata are made by demo/generate.py.
"""
import importlib.util
import json
import os
import random
import re

HERE = os.path.dirname(os.path.abspath(__file__))
_spec = importlib.util.spec_from_file_location("demo_generate", os.path.join(HERE, "../../demo/generate.py"))
demo = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(demo)

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
SYSTEM = "NT AUTHORITY\\SYSTEM"
S32 = "C:\\Windows\\System32\\"
POWERSHELL = S32 + "WindowsPowerShell\\v1.0\\powershell.exe"
CMD, RUNDLL, NET, SERVICES = S32 + "cmd.exe", S32 + "rundll32.exe", S32 + "net.exe", S32 + "services.exe"
SVCHOST, EXPLORER, REG = S32 + "svchost.exe", "C:\\Windows\\explorer.exe", S32 + "reg.exe"
WORD = "C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE"
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"


def jsonish(value):
    """JSON in which a text "#...#" stands for a bare number that holds a placeholder."""
    return re.sub(r'"#([^"#]*)#"', r"\1", json.dumps(value, separators=(",", ":")))


def rec(at, source, value):
    line = value if isinstance(value, str) else jsonish(value)
    return demo.record(at, source, "json" if not isinstance(value, str) else "text", line)


class World:
    """A network: who works where, and the records of what they do."""

    def __init__(self, seed, domain, net, workstations, servers, people):
        self.rnd = random.Random(seed)
        demo.RND = self.rnd
        demo.DOMAIN, demo.DNS_DOMAIN = domain, domain.lower() + ".example"
        self.domain, self.net = domain, net
        self.ws = {name: f"{net}.2.{20 + n}" for n, name in enumerate(workstations)}
        self.srv = {name: f"{net}.1.{10 + n}" for n, name in enumerate(servers)}
        self.owner = dict(zip(workstations, people))
        self.address = {**self.ws, **self.srv}
        self.serial = 40_000
        self.benign, self.evil, self.roots = [], [], []

    # --- what is told of ---

    def good(self, *records):
        for one in records:
            self.benign += one if isinstance(one, list) else [one]

    def bad(self, *records, root=False):
        for one in records:
            batch = one if isinstance(one, list) else [one]
            self.evil += batch
            if root:
                self.roots += batch

    # --- Windows ---

    def user(self, name):
        return name if "\\" in name else f"{self.domain}\\{name}"

    def run(self, at, host, user, image, command, parent, pid, ppid, parent_command=None, product="", original=None,
            integrity="Medium"):
        made = demo.process(at, host, self.user(user), image, command, parent,
                            parent_command or f'"{parent}"', pid, ppid, product, original, integrity)
        # The log-on session: one of each user on each machine, and the well-known one of SYSTEM.
        session = "0x3e7" if user == SYSTEM else hex(0x40000 + demo.hash_of(host + user) % 0xFFFFF)
        made["line"] = made["line"].replace('"LogonId":"0x3e7a1"', f'"LogonId":"{session}"')
        return made

    def made(self, at, host, user, image, pid, path):
        return demo.sysmon(at, host, 11, ProcessGuid=demo.guid(host, pid), ProcessId=pid, Image=image,
                           TargetFilename=path, CreationUtcTime="{{iso_ms}}", User=self.user(user))

    def registry(self, at, host, user, image, pid, key, details):
        return demo.sysmon(at, host, 13, EventType="SetValue", ProcessGuid=demo.guid(host, pid), ProcessId=pid, Image=image,
                           TargetObject=key, Details=details, User=self.user(user))

    def asked(self, at, host, user, image, pid, name, result="-"):
        return demo.sysmon(at, host, 22, ProcessGuid=demo.guid(host, pid), ProcessId=pid, QueryName=name, QueryStatus="0",
                           QueryResults=result, Image=image, User=self.user(user))

    def connects(self, at, host, user, image, pid, to, port=443, name="-"):
        return demo.connection(at, host, self.user(user), image, pid, self.address[host],
                               self.rnd.randint(49_152, 65_000), to, port, name)

    def lsass(self, at, host, user, image, pid, access="0x1fffff"):
        return demo.sysmon(at, host, 10, SourceProcessGUID=demo.guid(host, pid), SourceProcessId=pid, SourceThreadId=pid + 8,
                           SourceImage=image, TargetProcessGUID=demo.guid(host, 712), TargetProcessId=712,
                           TargetImage=S32 + "lsass.exe", GrantedAccess=access,
                           CallTrace="C:\\Windows\\SYSTEM32\\ntdll.dll+9d4c4|C:\\Windows\\System32\\KERNELBASE.dll+2c13e|UNKNOWN(000001D2)",
                           SourceUser=self.user(user), TargetUser=SYSTEM)

    def logon(self, at, host, user, kind, source, package="Kerberos"):
        address = self.address.get(source, source)
        return demo.logon(at, host, user, kind, address, source.upper() if source in self.address else "-", package)

    def refused(self, at, host, user, source, kind=3):
        return demo.security(at, host, 4625, False, SubjectUserSid="S-1-0-0", SubjectUserName="-", SubjectDomainName="-",
                             SubjectLogonId="0x0", TargetUserSid="S-1-0-0", TargetUserName=user, TargetDomainName=self.domain,
                             Status="0xc000006d", FailureReason="%%2313", SubStatus="0xc000006a", LogonType=kind,
                             LogonProcessName="NtLmSsp ", AuthenticationPackageName="NTLM", WorkstationName="-",
                             TransmittedServices="-", LmPackageName="-", KeyLength=0, ProcessId="0x0", ProcessName="-",
                             IpAddress=self.address.get(source, source), IpPort=str(self.rnd.randint(49_152, 65_000)))

    def share(self, at, host, user, source, share="ADMIN$"):
        return demo.security(at, host, 5140, **demo.subject(user, hex(at % 999_983 + 0x50000)), ObjectType="File",
                             IpAddress=self.address.get(source, source), IpPort=str(self.rnd.randint(49_152, 65_000)),
                             ShareName="\\\\*\\" + share, ShareLocalPath="\\??\\C:\\Windows", AccessMask="0x1",
                             AccessList="%%4416\n\t\t\t\t")

    def service(self, at, host, name, path):
        return demo.windows(at, host, "Service Control Manager", "System", 7045,
                            {"ServiceName": name, "ImagePath": path, "ServiceType": "user mode service",
                             "StartType": "demand start", "AccountName": "LocalSystem"}, 0, 4, "0x8080000000000000")

    def with_credentials(self, at, host, user, other, target, program):
        return demo.security(at, host, 4648, **demo.subject(user), LogonGuid="{00000000-0000-0000-0000-000000000000}",
                             TargetUserName=other, TargetDomainName=self.domain,
                             TargetLogonGuid="{00000000-0000-0000-0000-000000000000}", TargetServerName=demo.fqdn(target),
                             TargetInfo=demo.fqdn(target), ProcessId="0x1b9c", ProcessName=program, IpAddress="-", IpPort="-")

    def account(self, at, host, by, name):
        return demo.security(at, host, 4720, TargetUserName=name, TargetDomainName=self.domain,
                             TargetSid="S-1-5-21-1004336348-1177238915-682003330-%d" % (2000 + demo.hash_of(name) % 900),
                             **demo.subject(by, hex(0x60000 + demo.hash_of(host + by) % 0xFFFFF)), PrivilegeList="-", SamAccountName=name, DisplayName=name,
                             UserAccountControl="\n\t\t%%2080\n\t\t%%2082")

    def member(self, at, host, by, name, group="Administrators"):
        return demo.security(at, host, 4732, MemberName=f"CN={name},CN=Users,DC={self.domain.lower()},DC=example",
                             MemberSid="S-1-5-21-1004336348-1177238915-682003330-%d" % (2000 + demo.hash_of(name) % 900),
                             TargetUserName=group, TargetDomainName="Builtin", TargetSid="S-1-5-32-544",
                             **demo.subject(by, hex(0x60000 + demo.hash_of(host + by) % 0xFFFFF)), PrivilegeList="-")

    def cleared(self, at, host, by):
        return demo.windows(at, host, "Microsoft-Windows-Eventlog", "Security", 1102, None, 104, 4, "0x4020000000000000",
                            {"LogFileCleared": {"#attributes": {"xmlns": "http://manifests.microsoft.com/win/2004/08/windows/eventlog"},
                                                **demo.subject(by, hex(0x60000 + demo.hash_of(host + by) % 0xFFFFF))}})

    def script(self, at, host, text):
        return demo.windows(at, host, "Microsoft-Windows-PowerShell", "Microsoft-Windows-PowerShell/Operational", 4104,
                            {"MessageNumber": 1, "MessageTotal": 1, "ScriptBlockText": text,
                             "ScriptBlockId": "7d1f6c8e-5a0b-4b1d-9a55-%012x" % (at & 0xFFFFFFFFFFFF), "Path": ""}, 2, 3, "0x0")

    def ticket(self, at, dc, user, service, source, cipher="0x12"):
        return demo.security(at, dc, 4769, TargetUserName=f"{user}@{self.domain}.EXAMPLE", TargetDomainName=f"{self.domain}.EXAMPLE",
                             ServiceName=service, ServiceSid="S-1-5-21-1004336348-1177238915-682003330-1298",
                             TicketOptions="0x40810000", TicketEncryptionType=cipher,
                             IpAddress="::ffff:" + self.address.get(source, source), IpPort=str(self.rnd.randint(49_152, 65_000)),
                             Status="0x0", LogonGuid="{a0b1c2d3-0000-0000-0000-%012x}" % (at & 0xFFFFFFFFFFFF),
                             TransmittedServices="-")

    # --- Linux ---

    def sshd(self, at, host, text, pid=None):
        return demo.syslog(at, host, "sshd", pid or self.rnd.randint(2_000, 30_000), text)

    def ssh_ok(self, at, host, user, source, how="publickey"):
        tail = ": ED25519 SHA256:b7c1e0pXk0Zt2m1l9Qw" if how == "publickey" else ""
        return self.sshd(at, host, f"Accepted {how} for {user} from {self.address.get(source, source)} port "
                         f"{self.rnd.randint(30_000, 60_000)} ssh2{tail}")

    def ssh_failed(self, at, host, user, source):
        return self.sshd(at, host, f"Failed password for {user} from {self.address.get(source, source)} port "
                         f"{self.rnd.randint(30_000, 60_000)} ssh2")

    def exec(self, at, host, user, uid, words, executable=None):
        self.serial += 1
        path = executable or f"/usr/bin/{words[0]}"
        # Each account on each machine has a shell and a log-on session of its own; services have none.
        own = demo.hash_of(host + user)
        session = 4_294_967_295 if user in ("www-data", "root") else own % 900 + 10
        made = demo.audit(at, host, self.serial, user, uid, path, words, 20_000 + self.serial % 9_000, 2_000 + own % 9_000)
        for one in made:
            one["line"] = one["line"].replace(" ses=212 ", f" ses={session} ")
        return made

    def path_made(self, at, host, name, owner="root", uid=0):
        self.serial += 1
        return demo.record(at, f"auditd:{host}", "auditd",
                           f'node={host} type=PATH msg=audit({{{{audit}}}}:{self.serial}): item=1 name="{name}" inode=393301 '
                           f'dev=08:01 mode=0100600 ouid={uid} ogid={uid} rdev=00:00 nametype=CREATE cap_fp=0 cap_fi=0 cap_fe=0 '
                           f'cap_fver=0 cap_frootid=0\x1dOUID="{owner}" OGID="{owner}"')

    def web(self, at, host, source, method, path, status, size, agent=BROWSER):
        address = self.address.get(source, source)
        return demo.record(at, f"nginx:{host}", "syslog",
                           f'<190>{{{{rfc3164}}}} {host} nginx: {address} - - [{{{{clf}}}}] "{method} {path} HTTP/1.1" '
                           f'{status} {size} "-" "{agent}"')

    # --- network ---

    def zeek(self, at, path, source, sport, target, port, **more):
        return rec(at, "zeek:sensor-01", {"_path": path, "ts": "#{{epoch}}.%03d#" % (at % 1000), "uid": demo.uid(),
                                          "id.orig_h": self.address.get(source, source), "id.orig_p": sport,
                                          "id.resp_h": self.address.get(target, target), "id.resp_p": port, **more})

    def conn(self, at, source, target, port, out, back, service="ssl", seconds=2.0, proto="tcp"):
        return self.zeek(at, "conn", source, self.rnd.randint(49_152, 65_000), target, port, proto=proto, service=service,
                         duration=seconds, orig_bytes=out, resp_bytes=back, conn_state="SF", orig_pkts=out // 1400 + 4,
                         resp_pkts=back // 1400 + 3)

    def dns(self, at, source, name, answer="192.0.2.10", kind="A"):
        return self.zeek(at, "dns", source, self.rnd.randint(49_152, 65_000), "dns", 53, proto="udp", query=name, qclass=1,
                         qclass_name="C_INTERNET", qtype={"A": 1, "TXT": 16}[kind], qtype_name=kind, rcode=0,
                         rcode_name="NOERROR", AA=False, TC=False, RD=True, RA=True, Z=0, answers=[answer], rejected=False)

    def forti(self, at, text, level="notice"):
        return demo.record(at, "fortigate:fw-01", "syslog",
                           f'<189>date={{{{date}}}} time={{{{time}}}} devname="fw-01" devid="FG100FTK20001234" '
                           f'eventtime={{{{epoch_ms}}}}000000 tz="+0000" level="{level}" vd="root" {text}')

    def traffic(self, at, source, target, port, out, back, user=None):
        who = f' user="{user}"' if user else ""
        return self.forti(at, f'logid="0000000013" type="traffic" subtype="forward" srcip={self.address.get(source, source)} '
                          f'srcport={self.rnd.randint(49_152, 65_000)} srcintf="lan" dstip={self.address.get(target, target)} '
                          f'dstport={port} dstintf="wan1" sessionid={self.rnd.randint(1000, 99_999)} proto=6 action="close" '
                          f'policyid=7 service="HTTPS" duration=9 sentbyte={out} rcvdbyte={back}{who}')

    def vpn(self, at, user, address, ok):
        if ok:
            return self.forti(at, f'logid="0101039424" type="event" subtype="vpn" logdesc="SSL VPN tunnel up" action="tunnel-up" '
                              f'tunneltype="ssl-tunnel" tunnelid={self.rnd.randint(10**6, 10**7)} remip={address} '
                              f'tunnelip={self.net}.9.{self.rnd.randint(10, 90)} user="{user}" group="vpn" reason="tunnel established"')
        return self.forti(at, f'logid="0101039426" type="event" subtype="vpn" logdesc="SSL VPN login fail" action="ssl-login-fail" '
                          f'tunneltype="ssl-web" remip={address} user="{user}" reason="sslvpn_login_permission_denied" '
                          'msg="SSL user failed to logged in"', "alert")

    def squid(self, at, source, user, method, url, size, status=200, agent=None):
        return demo.record(at, "squid:proxy-01", "text",
                           f"{{{{audit}}}}     {self.rnd.randint(9, 900)} {self.address.get(source, source)} TCP_MISS/{status} {size} "
                           f"{method} {url} {user} HIER_DIRECT/198.51.100.20 text/html")

    def ids(self, at, source, target, port, signature, severity, number=9000300):
        return demo.eve(at, "alert", self.address.get(source, source), self.rnd.randint(40_000, 60_000),
                        self.address.get(target, target), port, app_proto="http", alert={
                            "action": "allowed", "gid": 1, "signature_id": number, "rev": 1, "signature": signature,
                            "category": "Attempted Administrator Privilege Gain", "severity": severity})

    # --- cloud ---

    def mail(self, user):
        return f"{user}@{self.domain.lower()}.example"

    def ident(self):
        return "%08x-%04x-4f0e-9a51-%012x" % (self.rnd.getrandbits(32), self.rnd.getrandbits(16), self.rnd.getrandbits(48))

    def okta(self, at, user, event, address, result="SUCCESS", country="Germany", target=None, agent=BROWSER):
        return rec(at, "okta:tenant", {
            "uuid": self.ident(), "version": "0", "eventType": event, "legacyEventType": "x", "published": "{{iso_ms}}",
            "severity": "INFO", "displayMessage": "-",
            "actor": {"id": "00u%d" % (demo.hash_of(user) % 9999), "type": "User", "alternateId": self.mail(user), "displayName": user},
            "client": {"ipAddress": address, "userAgent": {"rawUserAgent": agent, "os": "Windows 10", "browser": "CHROME"},
                       "device": "Computer", "zone": "null", "geographicalContext": {"country": country}},
            "outcome": {"result": result, "reason": None},
            "target": [{"id": "00t1", "type": "User", "alternateId": self.mail(target or user), "displayName": target or user}],
            "transaction": {"type": "WEB", "id": "W1"}, "authenticationContext": {"externalSessionId": "102x"}})

    def aws(self, at, user, service, name, address, parameters=None, error=None, agent="aws-cli/2.18.0", role=None, read=False):
        arn = f"arn:aws:sts::123456789012:assumed-role/{role}" if role else f"arn:aws:iam::123456789012:user/{user}"
        who = {"type": "AssumedRole" if role else "IAMUser", "principalId": "AIDA" + user.upper().replace(".", ""), "arn": arn,
               "accountId": "123456789012", "accessKeyId": "AKIA%016X" % (demo.hash_of(user) * 7919)}
        if not role:
            who["userName"] = user
        event = {"eventVersion": "1.09", "userIdentity": who, "eventTime": "{{iso}}", "eventSource": f"{service}.amazonaws.com",
                 "eventName": name, "awsRegion": "eu-central-1", "sourceIPAddress": address, "userAgent": agent,
                 "requestParameters": parameters, "responseElements": None, "requestID": self.ident(), "eventID": self.ident(),
                 "readOnly": read, "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": "123456789012",
                 "eventCategory": "Management"}
        if error:
            event["errorCode"] = error
            event["errorMessage"] = "not authorized to perform this action"
        return rec(at, "cloudtrail:main", event)

    def console(self, at, user, address, mfa="No"):
        return rec(at, "cloudtrail:main", {
            "eventVersion": "1.09", "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::123456789012:user/{user}",
                                                     "accountId": "123456789012", "userName": user},
            "eventTime": "{{iso}}", "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin", "awsRegion": "eu-central-1",
            "sourceIPAddress": address, "userAgent": BROWSER, "requestParameters": None,
            "responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": mfa}, "eventID": self.ident(),
            "readOnly": False, "eventType": "AwsConsoleSignIn", "recipientAccountId": "123456789012", "eventCategory": "Management"})

    def github(self, at, actor, action, address, repo=None, country="DE", **more):
        event = {"@timestamp": "#{{epoch_ms}}#", "_document_id": self.ident(), "action": action, "actor": actor,
                 "actor_id": demo.hash_of(actor) % 10**6, "actor_ip": address, "actor_location": {"country_code": country},
                 "created_at": "#{{epoch_ms}}#", "org": self.domain.lower(), "org_id": 77, "operation_type": "modify",
                 "user_agent": "git/2.47", **more}
        if repo:
            event["repo"] = f"{self.domain.lower()}/{repo}"
        return rec(at, "github:audit", event)

    def kube(self, at, user, verb, resource, address, namespace="default", name="x", code=200, uri=None, agent="kubectl/v1.31.2",
             sub=None, body=None):
        reference = {"resource": resource, "namespace": namespace, "name": name, "apiVersion": "v1"}
        if sub:
            reference["subresource"] = sub
        event = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": self.ident(),
                 "stage": "ResponseComplete", "requestURI": uri or f"/api/v1/namespaces/{namespace}/{resource}/{name}", "verb": verb,
                 "user": {"username": user, "groups": ["system:authenticated"]}, "sourceIPs": [self.address.get(address, address)],
                 "userAgent": agent, "objectRef": reference, "responseStatus": {"metadata": {}, "code": code},
                 "requestReceivedTimestamp": "{{iso_ms}}", "stageTimestamp": "{{iso_ms}}",
                 "annotations": {"authorization.k8s.io/decision": "allow" if code < 400 else "forbid"}}
        if body:
            event["requestObject"] = body
        return rec(at, "kubernetes:prod", event)

    def m365(self, at, user, operation, address, workload="SharePoint", record=6, **more):
        return rec(at, "m365:audit", {"CreationTime": "{{iso}}", "Id": self.ident(), "Operation": operation,
                                      "OrganizationId": "9f0c2b7e-5b7d-4f0e-9a51-3d780dcdbf93", "RecordType": record,
                                      "ResultStatus": "Succeeded", "UserKey": "1003BFFD", "UserType": 0, "Version": 1,
                                      "Workload": workload, "ClientIP": address, "UserId": self.mail(user), **more})

    def entra(self, at, user, address, code="0", device="", country="DE"):
        return rec(at, "entra:signin", {
            "time": "{{iso}}", "resourceId": "/tenants/72f98800/providers/Microsoft.aadiam", "operationName": "Sign-in activity",
            "operationVersion": "1.0", "category": "SignInLogs", "tenantId": "72f98800-0000-4000-8000-0000000000aa", "resultType": code,
            "callerIpAddress": address, "correlationId": self.ident(), "identity": user, "Level": 4, "location": country,
            "properties": {"id": self.ident(), "createdDateTime": "{{iso_ms}}", "userDisplayName": user, "userPrincipalName": self.mail(user),
                           "userId": "u%d" % (demo.hash_of(user) % 9999), "appDisplayName": "Office 365", "ipAddress": address,
                           "clientAppUsed": "Browser", "userAgent": BROWSER, "deviceDetail": {"deviceId": "", "displayName": device},
                           "location": {"countryOrRegion": country}, "status": {"errorCode": int(code)}}})

    # --- the background ---

    def daily(self, length, count):
        """What harmless people and programs do all day; nothing of it fires."""
        sites = [("www.example.org", "192.0.2.10"), ("cdn.example.net", "192.0.2.24"), ("mail.example.com", "192.0.2.40"),
                 ("docs.example.org", "198.51.100.31"), ("login.example.com", "192.0.2.81")]
        programs = [program for program, _, _ in demo.PROGRAMS if "\\System32\\" not in program]
        for n, (host, address) in enumerate(self.ws.items()):
            self.good(demo.syslog(n * 900, "dhcp-01", "dhcpd", 99, f"DHCPACK on {address} to 52:54:00:aa:{n:02x}:01 ({host}) via eth0", 30))
        for _ in range(count):
            at = self.rnd.randint(0, length)
            host = self.rnd.choice(list(self.ws))
            user, (name, answer) = self.owner[host], self.rnd.choice(sites)
            kind = self.rnd.randint(0, 7)
            if kind == 0:
                program = self.rnd.choice(programs)
                self.good(self.run(at, host, user, program, f'"{program}" {self.rnd.randint(1, 99)}', EXPLORER,
                                   self.rnd.randint(3_000, 20_000), 4_412))
            elif kind == 1:
                self.good(self.dns(at, host, name, answer))
            elif kind == 2:
                self.good(self.conn(at, host, answer, 443, self.rnd.randint(500, 90_000), self.rnd.randint(900, 900_000)))
            elif kind == 3:
                self.good(self.traffic(at, host, answer, 443, self.rnd.randint(500, 90_000), self.rnd.randint(900, 900_000), user))
            elif kind == 4:
                self.good(self.squid(at, host, user, "GET", f"http://{name}/p/{self.rnd.randint(1, 999)}", self.rnd.randint(100, 90_000)))
            elif kind == 5:
                self.good(self.logon(at, self.rnd.choice(["dc-01", "file-01"]) if "dc-01" in self.srv else host, user, 3, host))
            elif kind == 6:
                self.good(demo.syslog(at, self.rnd.choice(list(self.srv)), "CRON", self.rnd.randint(900, 9_000),
                                      "(root) CMD (test -x /usr/sbin/anacron)", 78))
            else:
                self.good(self.entra(at, user, "192.0.2.133", device=host))

    def scanner(self, at, targets, name="scan-01"):
        """A scanner of the own security team: it looks like an attack on each of its targets."""
        for n, target in enumerate(targets):
            start = at + n * 90 * SECOND
            for m, path in enumerate(["/../../../../etc/passwd", "/login?u=1%27%20OR%201=1--", "/.env", "/cgi-bin/test?x=%24%7Bjndi:ldap%3A//a%7D"]):
                self.good(self.web(start + m * 4 * SECOND, target, name, "GET", path, 404, 153, "Nessus SOAP"))
            for m in range(12):
                self.good(self.ssh_failed(start + 20 * SECOND + m * 900, target, ["root", "admin", "guest", "oracle"][m % 4], name))
            self.good(self.ids(start + 30 * SECOND, name, target, 443, "WATCHFLOOR SCAN web vulnerability scanner", 2))

    def backup(self, at, targets, server="bkp-01", user="svc-backup"):
        """The nightly backup: administrative shares of every server, and one big transfer."""
        for n, target in enumerate(targets):
            start = at + n * 4 * MINUTE
            self.good(self.logon(start, target, user, 3, server), self.share(start + 400, target, user, server, "C$"))
            self.good(self.run(start + 2_000, target, SYSTEM, S32 + "vssadmin.exe", "vssadmin create shadow /for=C:",
                               "C:\\Program Files\\Backup\\agent.exe", 16_001 + n, 2_200, integrity="System"))
            self.good(self.conn(start + 3_000, target, server, 9_392, self.rnd.randint(10**8, 10**9), 90_000, "-", 200.0))
        self.good(self.conn(at + 50 * MINUTE, server, "198.51.100.9", 443, 6_500_000_000, 3_000_000, "ssl", 1_800.0))

    def administrator(self, at, targets, admin="adm.lang", jump="adm-01"):
        """An administrator at work: PsExec to servers, an account for a new colleague."""
        for n, target in enumerate(targets):
            start = at + n * 6 * MINUTE
            self.good(self.logon(start, target, admin, 3, jump), self.share(start + 300, target, admin, jump))
            self.good(self.service(start + 600, target, "PSEXESVC", "%SystemRoot%\\PSEXESVC.exe"))
            self.good(self.run(start + 900, target, SYSTEM, "C:\\Windows\\PSEXESVC.exe", "C:\\Windows\\PSEXESVC.exe", SERVICES, 5_111 + n, 684,
                               product="Sysinternals PsExec", original="psexesvc.exe", integrity="System"))
            self.good(self.run(start + 1_400, target, SYSTEM, S32 + "sc.exe", "sc query spooler", "C:\\Windows\\PSEXESVC.exe", 5_311 + n,
                               5_111 + n, original="sc.exe", integrity="System"))

    def patching(self, at, targets):
        """Software distribution: encoded PowerShell from its agent, a new service."""
        for n, target in enumerate(targets):
            start = at + n * 70 * SECOND
            self.good(self.run(start, target, SYSTEM, POWERSHELL,
                               "powershell.exe -NoProfile -EncodedCommand RwBlAHQALQBIAG8AdABGAGkAeAA=",
                               "C:\\Program Files\\Contoso\\Deploy\\agent.exe", 8_100 + n, 2_240, original="PowerShell.EXE",
                               integrity="System"))
            self.good(self.service(start + 3_000, target, "Contoso Deploy Helper", "\"C:\\Program Files\\Contoso\\Deploy\\helper.exe\""))

    def updates(self, at, host, target, every, count):
        """A program that asks for updates with the regularity of a beacon."""
        for n in range(count):
            self.good(self.conn(at + n * every + self.rnd.randint(-400, 400), host, target, 443, 820, 1_400, "ssl", 0.4))

    # --- what is written ---

    def assets(self):
        """The asset table that the organization keeps: its servers, whose addresses stand."""
        grave = ("dc-", "file-", "db-", "sql-", "dms-")
        lines = [f"{name},{address},{'critical' if name.startswith(grave) else 'medium'}" for name, address in self.srv.items()]
        return "hostname,ip,criticality\n" + "\n".join(lines) + "\n"

    def entries(self):
        for one in self.benign:
            one["_evil"] = False
        roots = {id(one) for one in self.roots}
        for one in self.evil:
            one["_evil"], one["_root"] = True, id(one) in roots
        every = self.benign + self.evil
        every.sort(key=lambda one: one["at_ms"])
        return every
