use weft_abi::{DIRECTION_EGRESS, DIRECTION_INGRESS};

/// Which way bytes go, seen from the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Sent by the pod: ingress of the host's side of its veth.
    FromPod,
    /// For the pod: egress there.
    ToPod,
}

impl Direction {
    pub(super) const BOTH: [Self; 2] = [Self::FromPod, Self::ToPod];

    /// Of `Header::detail` of a segment.
    pub(super) fn from_detail(detail: u8) -> Option<Self> {
        match detail {
            DIRECTION_INGRESS => Some(Self::FromPod),
            DIRECTION_EGRESS => Some(Self::ToPod),
            _ => None,
        }
    }

    pub(super) fn reverse(self) -> Self {
        match self {
            Self::FromPod => Self::ToPod,
            Self::ToPod => Self::FromPod,
        }
    }

    /// This direction's part of a pair.
    pub(super) fn of<T>(self, pair: &[T; 2]) -> &T {
        let [from_pod, to_pod] = pair;
        match self {
            Self::FromPod => from_pod,
            Self::ToPod => to_pod,
        }
    }

    /// This direction's part of a pair, to change it.
    pub(super) fn of_mut<T>(self, pair: &mut [T; 2]) -> &mut T {
        let [from_pod, to_pod] = pair;
        match self {
            Self::FromPod => from_pod,
            Self::ToPod => to_pod,
        }
    }
}
