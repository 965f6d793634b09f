//! Names and forms of the elements of flows that exporters send. Others are kept by number.
//!
//! # Source
//! IANA, "IP Flow Information Export (IPFIX) Entities"; RFC 3954 section 8.

use jiff::Timestamp;

/// The form of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Address,
    Mac,
    Text,
    Float,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// Seconds since 1900 and a fraction of 32 bits.
    Ntp,
    Bytes,
}

use Kind::{Address, Bytes, Float, Mac, Millis, Ntp, Number, Seconds, Text};

/// By number, in order.
const ELEMENTS: &[(u16, &str, Kind)] = &[
    (1, "octetDeltaCount", Number),
    (2, "packetDeltaCount", Number),
    (3, "deltaFlowCount", Number),
    (4, "protocolIdentifier", Number),
    (5, "ipClassOfService", Number),
    (6, "tcpControlBits", Number),
    (7, "sourceTransportPort", Number),
    (8, "sourceIPv4Address", Address),
    (9, "sourceIPv4PrefixLength", Number),
    (10, "ingressInterface", Number),
    (11, "destinationTransportPort", Number),
    (12, "destinationIPv4Address", Address),
    (13, "destinationIPv4PrefixLength", Number),
    (14, "egressInterface", Number),
    (15, "ipNextHopIPv4Address", Address),
    (16, "bgpSourceAsNumber", Number),
    (17, "bgpDestinationAsNumber", Number),
    (18, "bgpNextHopIPv4Address", Address),
    (19, "postMCastPacketDeltaCount", Number),
    (20, "postMCastOctetDeltaCount", Number),
    (21, "flowEndSysUpTime", Number),
    (22, "flowStartSysUpTime", Number),
    (23, "postOctetDeltaCount", Number),
    (24, "postPacketDeltaCount", Number),
    (25, "minimumIpTotalLength", Number),
    (26, "maximumIpTotalLength", Number),
    (27, "sourceIPv6Address", Address),
    (28, "destinationIPv6Address", Address),
    (29, "sourceIPv6PrefixLength", Number),
    (30, "destinationIPv6PrefixLength", Number),
    (31, "flowLabelIPv6", Number),
    (32, "icmpTypeCodeIPv4", Number),
    (33, "igmpType", Number),
    (34, "samplingInterval", Number),
    (35, "samplingAlgorithm", Number),
    (36, "flowActiveTimeout", Number),
    (37, "flowIdleTimeout", Number),
    (38, "engineType", Number),
    (39, "engineId", Number),
    (40, "exportedOctetTotalCount", Number),
    (41, "exportedMessageTotalCount", Number),
    (42, "exportedFlowRecordTotalCount", Number),
    (44, "sourceIPv4Prefix", Address),
    (45, "destinationIPv4Prefix", Address),
    (46, "mplsTopLabelType", Number),
    (47, "mplsTopLabelIPv4Address", Address),
    (48, "samplerId", Number),
    (49, "samplerMode", Number),
    (50, "samplerRandomInterval", Number),
    (52, "minimumTTL", Number),
    (53, "maximumTTL", Number),
    (54, "fragmentIdentification", Number),
    (55, "postIpClassOfService", Number),
    (56, "sourceMacAddress", Mac),
    (57, "postDestinationMacAddress", Mac),
    (58, "vlanId", Number),
    (59, "postVlanId", Number),
    (60, "ipVersion", Number),
    (61, "flowDirection", Number),
    (62, "ipNextHopIPv6Address", Address),
    (63, "bgpNextHopIPv6Address", Address),
    (64, "ipv6ExtensionHeaders", Number),
    (70, "mplsTopLabelStackSection", Bytes),
    (80, "destinationMacAddress", Mac),
    (81, "postSourceMacAddress", Mac),
    (82, "interfaceName", Text),
    (83, "interfaceDescription", Text),
    (84, "samplerName", Text),
    (85, "octetTotalCount", Number),
    (86, "packetTotalCount", Number),
    (88, "fragmentOffset", Number),
    (89, "forwardingStatus", Number),
    (90, "mplsVpnRouteDistinguisher", Bytes),
    (94, "applicationDescription", Text),
    (95, "applicationId", Bytes),
    (96, "applicationName", Text),
    (98, "postIpDiffServCodePoint", Number),
    (128, "bgpNextAdjacentAsNumber", Number),
    (129, "bgpPrevAdjacentAsNumber", Number),
    (130, "exporterIPv4Address", Address),
    (131, "exporterIPv6Address", Address),
    (132, "droppedOctetDeltaCount", Number),
    (133, "droppedPacketDeltaCount", Number),
    (136, "flowEndReason", Number),
    (137, "commonPropertiesId", Number),
    (138, "observationPointId", Number),
    (139, "icmpTypeCodeIPv6", Number),
    (141, "lineCardId", Number),
    (142, "portId", Number),
    (143, "meteringProcessId", Number),
    (144, "exportingProcessId", Number),
    (145, "templateId", Number),
    (148, "flowId", Number),
    (149, "observationDomainId", Number),
    (150, "flowStartSeconds", Seconds),
    (151, "flowEndSeconds", Seconds),
    (152, "flowStartMilliseconds", Millis),
    (153, "flowEndMilliseconds", Millis),
    (154, "flowStartMicroseconds", Ntp),
    (155, "flowEndMicroseconds", Ntp),
    (156, "flowStartNanoseconds", Ntp),
    (157, "flowEndNanoseconds", Ntp),
    (160, "systemInitTimeMilliseconds", Millis),
    (161, "flowDurationMilliseconds", Number),
    (162, "flowDurationMicroseconds", Number),
    (163, "observedFlowTotalCount", Number),
    (164, "ignoredPacketTotalCount", Number),
    (165, "ignoredOctetTotalCount", Number),
    (176, "icmpTypeIPv4", Number),
    (177, "icmpCodeIPv4", Number),
    (178, "icmpTypeIPv6", Number),
    (179, "icmpCodeIPv6", Number),
    (180, "udpSourcePort", Number),
    (181, "udpDestinationPort", Number),
    (182, "tcpSourcePort", Number),
    (183, "tcpDestinationPort", Number),
    (184, "tcpSequenceNumber", Number),
    (186, "tcpWindowSize", Number),
    (189, "ipHeaderLength", Number),
    (192, "ipTTL", Number),
    (195, "ipDiffServCodePoint", Number),
    (205, "udpMessageLength", Number),
    (210, "paddingOctets", Bytes),
    (224, "ipTotalLength", Number),
    (225, "postNATSourceIPv4Address", Address),
    (226, "postNATDestinationIPv4Address", Address),
    (227, "postNAPTSourceTransportPort", Number),
    (228, "postNAPTDestinationTransportPort", Number),
    (229, "natOriginatingAddressRealm", Number),
    (230, "natEvent", Number),
    (231, "initiatorOctets", Number),
    (232, "responderOctets", Number),
    (233, "firewallEvent", Number),
    (234, "ingressVRFID", Number),
    (235, "egressVRFID", Number),
    (236, "VRFname", Text),
    (239, "biflowDirection", Number),
    (243, "dot1qVlanId", Number),
    (245, "dot1qCustomerVlanId", Number),
    (252, "ingressPhysicalInterface", Number),
    (253, "egressPhysicalInterface", Number),
    (256, "ethernetType", Number),
    (258, "collectionTimeMilliseconds", Millis),
    (281, "postNATSourceIPv6Address", Address),
    (282, "postNATDestinationIPv6Address", Address),
    (283, "natPoolId", Number),
    (284, "natPoolName", Text),
    (298, "initiatorPackets", Number),
    (299, "responderPackets", Number),
    (302, "selectorId", Number),
    (304, "selectorAlgorithm", Number),
    (305, "samplingPacketInterval", Number),
    (306, "samplingPacketSpace", Number),
    (311, "samplingProbability", Float),
    (318, "selectorIdTotalPktsObserved", Number),
    (322, "observationTimeSeconds", Seconds),
    (323, "observationTimeMilliseconds", Millis),
    (324, "observationTimeMicroseconds", Ntp),
    (325, "observationTimeNanoseconds", Ntp),
    (346, "privateEnterpriseNumber", Number),
    (371, "userName", Text),
    (372, "applicationCategoryName", Text),
    (373, "applicationSubCategoryName", Text),
    (374, "applicationGroupName", Text),
    (459, "httpRequestMethod", Text),
    (460, "httpRequestHost", Text),
    (461, "httpRequestTarget", Text),
    (462, "httpMessageVersion", Text),
    (463, "natInstanceID", Number),
];

/// Name and form of an element.
pub(super) fn element(id: u16) -> Option<(&'static str, Kind)> {
    let at = ELEMENTS
        .binary_search_by_key(&id, |(known, _, _)| *known)
        .ok()?;
    ELEMENTS.get(at).map(|(_, name, kind)| (*name, *kind))
}

/// Form of an element.
pub(super) fn kind(id: u16) -> Option<Kind> {
    element(id).map(|(_, kind)| kind)
}

/// A value as an instant, if its form is one.
pub(super) fn instant(kind: Kind, value: &[u8]) -> Option<Timestamp> {
    /// Seconds from 1900 to 1970.
    const NTP_S: i64 = 2_208_988_800;
    let number = super::record::number(value)?;
    match kind {
        Kind::Seconds => Timestamp::from_second(i64::try_from(number).ok()?).ok(),
        Kind::Millis => Timestamp::from_millisecond(i64::try_from(number).ok()?).ok(),
        Kind::Ntp if value.len() == 8 => {
            let seconds = i64::try_from(number >> 32).ok()? - NTP_S;
            let nanos = ((number & 0xffff_ffff) * 1_000_000_000) >> 32;
            Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_in_order() {
        assert!(ELEMENTS.is_sorted_by_key(|(id, _, _)| *id));
        assert_eq!(element(8), Some(("sourceIPv4Address", Address)));
        assert_eq!(element(43), None);
        assert_eq!(
            instant(Ntp, &0xe900_0000_8000_0000_u64.to_be_bytes())
                .unwrap()
                .to_string(),
            "2023-11-16T02:42:08.5Z"
        );
    }
}
