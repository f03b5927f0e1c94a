//! Whether the agent runs as the configuration file says.
use weft_metrics::exposition::{Kind, Page};

use super::{super::reload::Status, labelled};

pub(super) fn write(page: &mut Page, status: &Status) {
    let Status { counts, refused, restart } = status;
    let help = "How often the configuration file was read anew, by what came of it";
    labelled(page, ("weft_config_reloads", help, Kind::Counter), "result", counts.named());
    page.family(
        "weft_config_valid",
        "1 where the configuration file is valid; 0: refused, the one before is in force",
        Kind::Gauge,
    )
    .value(&[], refused.is_none().into());
    page.family(
        "weft_config_restart_needed",
        "Keys of the configuration file whose values wait for a restart",
        Kind::Gauge,
    )
    .value(&[], restart.len() as u64);
}
