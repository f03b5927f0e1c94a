//! Whether the agent runs as the configuration file says.
use weft_metrics::exposition::{Kind, Page, Point};

use super::{super::reload::Status, count, labelled};

pub(super) fn write(page: &mut Page<'_>, status: &Status) {
    let Status { counts, refused, restart } = status;
    let help = "How often the configuration file was read anew, by what came of it";
    labelled(page, &count("weft.config.reloads", help, Kind::Counter), "result", counts.named());
    let help = "1 where the configuration file is valid; 0: refused, the one before is in force";
    page.family(&count("weft.config.valid", help, Kind::Gauge))
        .value(&Point::default(), refused.is_none().into());
    let help = "Keys of the configuration file whose values wait for a restart";
    page.family(&count("weft.config.restart_needed", help, Kind::Gauge))
        .value(&Point::default(), restart.len() as u64);
}
