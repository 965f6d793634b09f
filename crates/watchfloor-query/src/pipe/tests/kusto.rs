//! Kusto's syntax as published queries use it: each of these must be read.

use super::super::*;

/// Queries that must parse, and be told from a search.
const PIPES: &[&str] = &[
    // Literals.
    "print 'a', \"b\", @'c:\\d', @\"e\"\"f\", h'g', h\"h\", H@'i', ```j\nk```, 'l' \"m\" @'n'",
    "print a = 0x1F, b = 1e3, c = 1.5e-2, d = 10, e = 2.0",
    "print 1.5h, 10ms, 1tick, 3microseconds, time(1d), timespan(00:10:00), time(1.02:03:04.5), 1day, 5min, 30sec",
    "print datetime(2026-11-24), datetime(2026-11-24 10:00), datetime('2026-11-24T10:00:00Z'), datetime(2026-11-24T10:00:00.1234567Z), datetime(11/24/2026), datetime(2026-11), datetime(11/24/2026 1:02:03 PM)",
    "print guid(74be27de-1e4e-49d9-b579-fe0b331d3642), datetime(null), int(null), long(null), real(null), bool(null), dynamic(null), timespan(null), guid(null)",
    "print dynamic({'a': [1, 2, {\"b\": null}], // why\n 'c': datetime(2026-01-01),}), dynamic([\"x\",\n]), dynamic(\"text\"), dynamic(5)",
    "print real(nan), real(+inf), real(-inf), decimal(0.1), double(1), long(5), bool(true), int(5), string('x')",
    // Names.
    "T_CL | where ['column name'] == 1 and [\"other\"] == 2 | project ['a b'] = x, ['c']",
    "AuditLogs | where TargetResources[0]['modifiedProperties'][1].newValue has 'x' and a.b.c['d e'][0] == 1",
    "SecurityEvent | where $left.a == $right.['b c']",
    "['my table'] | take 1",
    // Operators.
    "Event | where a has 'x' and b !has 'y' and c has_cs 'z' and d !has_cs 'q' and e hasprefix 'f' and g !hasprefix_cs 'h' and i hassuffix_cs 'j'",
    "Event | where a contains 'x' or b !contains_cs 'y' or c startswith_cs 'z' or d !endswith_cs 'w' or e matches regex @'^\\d+$'",
    "Event | where a in ('x', 'y') and b !in (1, 2) and c in~ ('z') and d !in~ (dynamic(['w'])) and e has_any ('u', 'v') and f has_all (dynamic(['s'])) and g !has_any ('t')",
    "Event | where a between (1 .. 5) and b !between (datetime(2026-01-01)..datetime(2026-01-02)) and c between (ago(1d) .. 1h)",
    "Event | where a =~ 'x' and b !~ 'y' and c != 1 and d <> 2 and not(e) and not (f == 1)",
    "Event | where * has 'x' or * contains \"y\" or * == 'z'",
    "Event | where (a) == 1 and (b or c) and -d < +5 and e % 2 == 0 and f * 2 / 3 - 1 > 0",
    "Event | where a in ((SecurityEvent | project Account)) and b in (materialize(Event | distinct c)) and d in (toscalar(Event | summarize make_set(c)))",
    // Verbs.
    "SigninLogs | join kind=inner hint.strategy=broadcast (AuditLogs | project x) on x",
    "SigninLogs | join hint.remote=left kind = leftouter (AuditLogs) on $left.a == $right.b and $left.c == $right.d",
    "SigninLogs | join kind=fullouter AuditLogs on a, $left.b == $right.c",
    "SigninLogs | join (union SecurityEvent, Event) on Computer",
    "SigninLogs | join kind=leftsemi materialize(AuditLogs | take 5) on x",
    "SigninLogs | join kind=inner cluster('c').database('d').AuditLogs on x",
    "SigninLogs | lookup kind=leftouter (_GetWatchlist('vip')) on $left.UserPrincipalName == $right.SearchKey",
    "T_CL | summarize hint.shufflekey=a hint.num_partitions=4 count(), b = dcount(c, 4), (d, e) = arg_max(f, *), take_any(*) by g, h = bin(TimeGenerated, 1h), ['i j']",
    "T_CL | summarize by a | summarize by b",
    "T_CL | sort by a asc nulls first, b desc nulls last, tolower(c) | order by d | top 10 by e desc nulls last, f asc | limit 5 | take 3 | sample 2",
    "T_CL | top-hitters 5 of a by b | sample-distinct 3 of c | distinct d, e | distinct *",
    "T_CL | mv-expand a | mv-expand bagexpansion=array kind=array with_itemindex=i b = todynamic(c) to typeof(string), d limit 100 | mvexpand e",
    "T_CL | mv-apply x = parse_json(a) to typeof(dynamic) limit 5 on (where x.b == 1 | extend c = x.d | summarize make_set(c)) | mv-apply with_itemindex=i y = z on (project i, y)",
    "T_CL | mv-apply TargetResource = TargetResources on (where TargetResource.type =~ 'User' | extend a = tostring(TargetResource.id), props = TargetResource.modifiedProperties) | mv-apply Property = props on (where Property.displayName =~ 'x')",
    "T_CL | parse a with * 'x=' b:long ' ' c: string ' ' * 'y' d | parse kind=regex flags=i e with 'f' g @'\\s+' h | parse kind=relaxed i with j:int | parse-where k with 'l' m",
    "T_CL | parse-kv a as (b: string, c: long) with (pair_delimiter=' ', kv_delimiter='=', quote='\"', greedy=true)",
    "T_CL | project-reorder a, b* asc, c desc, * | project-away d, e*, *f* | project-keep g | project-rename h = i, j = ['k l']",
    "T_CL | make-series hint.strategy=x n = count() default=0, m = avg(x) default=real(nan) on TimeGenerated from ago(1d) to now() step 1h by a, b",
    "T_CL | make-series count() on TimeGenerated in range(ago(1d), now(), 1h) by a",
    "T_CL | evaluate bag_unpack(a) | evaluate bag_unpack(b, 'p_', ignoredProperties=dynamic(['x'])) : (*, c: string)",
    "T_CL | evaluate hint.distribution=per_node pivot(a, count(), b) | evaluate autocluster(0.5, '~', 0.1) | evaluate python(typeof(*, x: real), ```\nresult = df\n```, bag_pack('a', 1))",
    "T_CL | invoke f(a, 5) | serialize n = row_number(1), p = prev(a, 1, 0) | as hint.materialized=true X | consume decodeblocks=true",
    "T_CL | partition hint.strategy=native by a (top 3 by b | project c) | partition by d { T_CL | take 1 }",
    "T_CL | top-nested 2 of a by count(), top-nested 3 of b with others = 'rest' by sum(c) desc | reduce kind=source by d with threshold=0.1, characters='x'",
    "T_CL | scan declare (x: long = 0) with (step s1 output=all: a > 1 => x = s1.x + 1; step s2: b < 2;)",
    "T_CL | fork (count) f2=(take 5) | facet by a, b with (take 1)",
    "T_CL | render timechart with (title='a, b', xcolumn=c, series=d, e, ymin=0) ",
    "T_CL | render columnchart kind=stacked title='x'",
    "T_CL | getschema | where ColumnName has 'x'",
    "T_CL | make-graph a --> b with T_CL on c | graph-match (x)-[y]->(z) where x.a == 1 project z.b",
    "search 'x' | summarize count() by $table",
    // Sources.
    "search in (SecurityEvent, Device*) \"bob\" and \"eve\" | count",
    "search kind=case_sensitive in (Event) Computer == 'x' or 'y'",
    "search in (SecurityEvent) \"x\"",
    "find in (SecurityEvent, Device*) where Computer has 'x' project Computer, TimeGenerated, pack(*)",
    "find withsource=T in (cluster('c').database('*').Event) where a == 1",
    "find where Computer == 'x'",
    "union SecurityEvent, Event",
    "union Security*, DeviceProcess* | count",
    "union withsource=T isfuzzy=true kind=outer (SecurityEvent | where a == 1), Nothing, ['a b'], workspace('w').Event, _Im_Dns(), Device*",
    "union * | where a == 1",
    "union withsource='T' (A | take 1),\n(B)\n| count",
    "workspace(\"x\").SecurityEvent | count",
    "cluster('c.region').database('d').T | take 1",
    "database('d').table('T') | take 1",
    "table('SecurityEvent') | take 1",
    "_Im_ProcessCreate | where a == 1",
    "_Im_Dns(starttime=ago(1d), endtime=now(), responsecodename='NXDOMAIN', domain_has_any=dynamic(['x']))",
    "imProcessCreate(pack=true) | take 1",
    "_GetWatchlist('vip') | project SearchKey",
    "externaldata(a: string, b: long)[@\"https://x/y.csv\" h@'z'] with (format='csv', ignoreFirstRecord=true) | where a == 1",
    "externaldata (a: string) ['https://x', 'https://y'] | take 1",
    "let t = externaldata(a: string)[@'https://x']with(format='txt');\nt | where a !startswith '#'",
    "datatable(a: string, ['b c']: long, d: dynamic)['x', 1, dynamic({}),\n'y', -2, dynamic([1]),] | take 1",
    "materialize(SecurityEvent | take 5) | count",
    "range x from 1 to 10 step 1",
    "range x from ago(1d) to now() step 1h | extend a = range(1, 5, 1)",
    // Statements.
    "let f = (T: (a: string, b: long), n: int = 3) { T | where b > n }; f(SecurityEvent, n=5) | take 1",
    "let f = (T: (*), x: dynamic = dynamic([]), s: datetime = datetime(null)) { let y = 5; T | where a in (x) and b > y }; SecurityEvent | invoke f(dynamic(['q']))",
    "let f = () { SecurityEvent | where a == 1 };\nf",
    "let f = (a: string) { toupper(a) }; let g = view () { Event };\n\ng() | extend b = f(c)",
    "let x = materialize(Event | take 5); let y = toscalar(x | count); let z = view(Event | take 1); x | where a > y",
    "let a = 1d; let b = dynamic(['x', 'y']); let c = 'd' 'e'; let d = range(1, 5, 1); let e = iff(a > 1h, 1, 2); let g = -5; Event",
    "let a = (SecurityEvent | take 1); let b = union a, Event; let c = (externaldata(x: string)[@'u'] | take 1); let d = SecurityEvent; b",
    "let a = cluster('c').database('d').T; let b = _GetWatchlist('x'); let c = _Im_Dns(starttime=ago(1d)); let d = (_GetWatchlist('y') | project z); a | where x in (d)",
    "declare query_parameters(a: long = 5, b: string = 'x'); Event | where c == a",
    "set notruncation;\nset query_now = datetime(2026-01-01);\n\nEvent | take 1",
    "alias database x = cluster('c').database('d'); Event | take 1",
    "restrict access to (database('x').*); Event | take 1",
    // Blanks and comments.
    "// title\r\n// more 'quotes\" and | pipes\r\nlet a = 5; // five\r\n\r\n\r\nEvent // table\r\n// between\r\n| where x == a // what's this\r\n    // or y == 1\r\n| count\r\n// end",
    "\u{feff}Event\u{a0}|\u{a0}where a == 1 |\u{200b} count",
    "Event\n// it's the first\n| where a == \"https://x//y\" and b == 'c // d'\n| count;\n",
    "#connect cluster('c').database('d')\nEvent | count",
    "SomeUnknownTable | where a == 1",
    "crowdstrikeReplicator | where event == 'x'",
    "SecurityEvent | where a == @'C:\\Users\\' | count",
    "SecurityEvent | where x has '|' and y == \"a | b\" | count",
    "Event | extend a = iff(b == 1, 'x', case(c, 1, d, 2, 3)), (e, f) = g(h), i = j[k], l = m.n.o, p = q['r'].s[t + 1]",
    "Event | extend a = extract(@'(\\d+)', 1, b, typeof(long)), c = column_ifexists('d', ''), e = pack('f', 1, 'g', h), i = bag_pack_columns(j, k), l = pack_all(true)",
    "Event | summarize make_set(a, 100), make_list_if(b, c > 1, 5), percentiles(d, 5, 50, 95), countif(e in ('x')), arg_max(TimeGenerated, *), buildschema(f), hll(g), tdigest(h) by i",
];

#[test]
fn published_syntax_parses() {
    let mut wrong = Vec::new();
    for text in PIPES {
        if let Err(error) = parse(text) {
            wrong.push(format!("{text}\n  {error:?}"));
        }
        if !is_pipe(text) {
            wrong.push(format!("{text}\n  is taken for a search"));
        }
    }
    assert!(wrong.is_empty(), "{}\n\n{}", wrong.len(), wrong.join("\n"));
    assert!(PIPES.len() > 90);
}

#[test]
fn searches_stay_searches() {
    for text in [
        "failed password",
        "SecurityEvent failed",
        "union station",
        "find me",
        "search party",
        "set up",
        "range rover",
        "user.name:root -src_endpoint.ip:10.0.0.0/8",
        "\"a | b\"",
        "what's up",
        "let me in",
        "cluster down",
        "process.file.path:*\\cmd.exe user.name:(ann or bob)",
    ] {
        assert!(!is_pipe(text), "{text}");
    }
}

#[test]
fn commands_are_refused_by_name() {
    let error = parse(".show tables").unwrap_err();
    assert!(error.message.contains(".show"), "{error:?}");
    assert!(is_pipe(".show tables"));
}

#[test]
fn times_are_read_in_every_form() {
    for text in [
        "2026-11-24",
        "2026-11-24 00:00",
        "2026-11-24T00:00:00Z",
        "2026-11-24 00:00:00.0000000",
        "11/24/2026",
        "11/24/2026 12:00:00 AM",
        "2026/11/24",
        "24 Nov 2026",
        "20261124",
    ] {
        assert_eq!(instant(text), Some(1_795_478_400_000_000), "{text}");
    }
    assert_eq!(instant("soon"), None);
    assert_eq!(instant("2026-11"), instant("2026-11-01"));
}
