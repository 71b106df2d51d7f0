// When a figure is known: the same on Airflow's home, in the chart and, in Python, for Prometheus. Elsewhere it stands with its
// interval and with what was counted.

export const knownAccuracy = (look) => (look && look.state !== "unknown" ? look.accuracy : null);
export const knownShare = (rate, minPeople) => (rate && rate.people >= minPeople ? rate.share : null);
