#!/bin/sh
# `sh include/k8s/try.sh`: everything on minikube or kind, to look at what cannot be tried without a cluster: admission, rights,
# network policies (with minikube start --cni=calico), the order of an update. Needs kubectl, helm, Docker, openssl, and minikube
# or kind with a cluster that runs; images as `make images` makes them; PostgreSQL, RabbitMQ and S3 where these say:
#
#   export MLOPS_OWNER_DSN=… RETRAIN_MLOPS_DSN=… RETRAIN_VIEWER_DSN=… RETRAIN_HELPER_DSN=… AIRFLOW_DSN=… MLFLOW_BACKEND_STORE_URI=…
#   export RETRAIN_BACKUP_DSN=… RETRAIN_RECEIVER_DSN=… RETRAIN_AMQP_URL=…
#   export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… S3_ENDPOINT=http://…
#
# Here every Secret gets the same key of S3; elsewhere each has one of its own: python -m include.stack.object_rights COMPONENT.
# RETRAIN_ACCESS_DSN, that of mlops_reader at the access service's database, has faces retrained, too.
# Roles and databases are made before, as the superuser (runbook, Who may do what in the databases); RETRAIN_VIEWER_DSN is that of
# mlops_viewer, RETRAIN_RECEIVER_DSN that of log_receiver. RABBITMQ_METRICS=HOST:15692 has Prometheus ask the broker, too.
# Secrets that nobody else knows are made here, once; what is in one stays, and what a later release needs is added.
set -eu
cd "$(dirname "$0")/../.."
for name in MLOPS_OWNER_DSN RETRAIN_MLOPS_DSN RETRAIN_VIEWER_DSN RETRAIN_HELPER_DSN AIRFLOW_DSN MLFLOW_BACKEND_STORE_URI \
    RETRAIN_BACKUP_DSN RETRAIN_RECEIVER_DSN RETRAIN_AMQP_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY S3_ENDPOINT; do
    eval "value=\${$name:-}"
    [ -n "$value" ] || { echo "$name is not set: see the head of this file" >&2; exit 1; }
done
k() { kubectl --namespace retraining "$@"; }

# No registry gives an image that is loaded by hand a digest: trainings are named by what theirs is, and not by a release. So what is
# changed here is applied by this script again, and not from the overlay.
id=$(docker image inspect --format '{{.Id}}' laundry-training:0.1.0)
training=laundry-training:sha256-${id#sha256:}
docker tag laundry-training:0.1.0 "$training"
for image in laundry-retraining:0.1.0 "$training" laundry-faceserve:0.1.0; do
    if command -v minikube >/dev/null; then minikube image load "$image"; else kind load docker-image "$image"; fi
done
kubectl get namespace retraining >/dev/null 2>&1 || kubectl create namespace retraining

# Values go through files, because everybody on the machine sees the words of a command.
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; chmod 700 "$folder"
secret() { # name, then variables that are its keys
    name=$1; shift
    there=$(k get secret "$name" -o go-template='{{range $key, $value := .data}}{{$key}} {{end}}' 2>/dev/null) && how=patch || how=create
    more=
    for key in "$@"; do
        case " $there" in *" $key "*) continue ;; esac
        eval "value=\$$key"
        more="$more${more:+, }\"$key\": \"$(printf %s "$value" | base64 | tr -d '\n')\""
    done
    [ -n "$more" ] || return 0
    printf '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "%s"}, "data": {%s}}' "$name" "$more" > "$folder/$name"
    case $how in
        patch) k patch secret "$name" --patch-file "$folder/$name" ;;
        create) k create --filename "$folder/$name" ;;
    esac
}
random() { openssl rand -base64 32 | tr '+/' '-_'; }

# What Secrets share: that of the first which has it, else a new one.
shared() { # Secret, key, and again
    value=
    while [ $# -gt 0 ] && [ -z "$value" ]; do
        value=$(k get secret "$1" -o go-template="{{with .data}}{{with .$2}}{{. | base64decode}}{{end}}{{end}}" 2>/dev/null || true)
        shift 2
    done
    [ -n "$value" ] || value=$(random)
    printf '%s' "$value"
}

MLFLOW_ADMIN_PASSWORD=$(shared mlflow MLFLOW_ADMIN_PASSWORD)
MLFLOW_PIPELINE_PASSWORD=$(shared mlflow MLFLOW_PIPELINE_PASSWORD airflow MLFLOW_TRACKING_PASSWORD retraining MLFLOW_TRACKING_PASSWORD)
MLFLOW_REPLICA_PASSWORD=$(shared mlflow MLFLOW_REPLICA_PASSWORD faceserve FACESERVE_REGISTRY_PASSWORD)
MLFLOW_TRACKING_PASSWORD=$MLFLOW_PIPELINE_PASSWORD FACESERVE_REGISTRY_PASSWORD=$MLFLOW_REPLICA_PASSWORD
FACESERVE_LIFECYCLE_TOKEN=$(shared faceserve FACESERVE_LIFECYCLE_TOKEN airflow RETRAIN_FACESERVE_TOKEN)
RETRAIN_FACESERVE_TOKEN=$FACESERVE_LIFECYCLE_TOKEN
# The access service's, wherever it runs; nobody else enrols people.
FACESERVE_ENROLMENT_TOKEN=$(shared faceserve FACESERVE_ENROLMENT_TOKEN)
secret faceserve FACESERVE_LIFECYCLE_TOKEN FACESERVE_ENROLMENT_TOKEN FACESERVE_REGISTRY_PASSWORD AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
secret retraining RETRAIN_MLOPS_DSN MLFLOW_TRACKING_PASSWORD AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
# Faces are retrained where the access service's database is.
[ -z "${RETRAIN_ACCESS_DSN:-}" ] || secret face-training RETRAIN_ACCESS_DSN AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
secret set-up MLOPS_OWNER_DSN
(RETRAIN_MLOPS_DSN=$RETRAIN_RECEIVER_DSN; secret log-receiver RETRAIN_BACKUP_DSN RETRAIN_MLOPS_DSN AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY)
# Logins that people added stay; that of the exporter is added to those of an earlier release.
logins=$(k get secret airflow-logins -o go-template='{{index .data "passwords.json" | base64decode}}' 2>/dev/null) \
    || logins=$(printf '{"admin": "%s"}' "$(random)")
case $logins in
    *'"exporter"'*) RETRAIN_EXPORTER_AIRFLOW_PASSWORD=$(printf %s "$logins" | sed 's/.*"exporter": *"\([^"]*\)".*/\1/') ;;
    *)
        RETRAIN_EXPORTER_AIRFLOW_PASSWORD=$(shared exporter RETRAIN_EXPORTER_AIRFLOW_PASSWORD)
        logins="${logins%\}*}, \"exporter\": \"$RETRAIN_EXPORTER_AIRFLOW_PASSWORD\"}"
        printf '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "airflow-logins"}, "data": {"passwords.json": "%s"}}' \
            "$(printf %s "$logins" | base64 | tr -d '\n')" > "$folder/airflow-logins"
        k apply --filename "$folder/airflow-logins"
        ;;
esac
# Whoever watches may change nothing.
(RETRAIN_MLOPS_DSN=$RETRAIN_VIEWER_DSN; secret exporter RETRAIN_MLOPS_DSN RETRAIN_AMQP_URL RETRAIN_EXPORTER_AIRFLOW_PASSWORD)
GRAFANA_ADMIN_PASSWORD=$(random); secret grafana GRAFANA_ADMIN_PASSWORD
secret mlflow MLFLOW_BACKEND_STORE_URI MLFLOW_ADMIN_PASSWORD MLFLOW_PIPELINE_PASSWORD MLFLOW_REPLICA_PASSWORD AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
secret airflow RETRAIN_MLOPS_DSN RETRAIN_HELPER_DSN RETRAIN_BACKUP_DSN RETRAIN_AMQP_URL MLFLOW_TRACKING_PASSWORD RETRAIN_FACESERVE_TOKEN \
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
(RETRAIN_MLOPS_VIEWER_DSN=$RETRAIN_VIEWER_DSN; secret airflow RETRAIN_MLOPS_VIEWER_DSN)
[ -z "${RETRAIN_ACCESS_DSN:-}" ] || secret airflow RETRAIN_ACCESS_DSN
connection=$AIRFLOW_DSN; secret airflow-metadata connection
for one in fernet-key jwt-secret api-secret-key; do
    k get secret "airflow-$one" >/dev/null 2>&1 || {
        printf '%s' "$(random)" > "$folder/$one"
        k create secret generic "airflow-$one" --from-file="$one=$folder/$one"
    }
done
if ! k get secret model-signing-key >/dev/null 2>&1; then
    openssl ecparam -name prime256v1 -genkey -noout -out "$folder/signing.pem"
    openssl ec -in "$folder/signing.pem" -pubout -out "$folder/verifying.pem"
    k create secret generic model-signing-key --from-file="$folder/signing.pem"
    k create configmap model-verifying-key --from-file="$folder/verifying.pem"
fi
# What a manifest does not name stays in a ConfigMap through every `apply`; it is there before anything reads it.
k get configmap storage >/dev/null 2>&1 || k create configmap storage
k patch configmap storage --patch "{\"data\": {$(for name in RETRAIN_S3_ENDPOINT FACESERVE_S3_ENDPOINT MLFLOW_S3_ENDPOINT_URL AWS_ENDPOINT_URL_S3; do
    printf '%s"%s": "%s"' "${comma:-}" "$name" "$S3_ENDPOINT"; comma=', '; done)}}"
k delete job set-up --ignore-not-found
mkdir "$folder/overlay"
# GNU's realpath: `brew install coreutils` has it elsewhere.
minikube=$(realpath --relative-to="$folder/overlay" include/k8s/overlays/minikube)
cat > "$folder/overlay/kustomization.yaml" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: ["$minikube"]
images: [{name: laundry-training, newTag: "${training#*:}"}]
patches:
  - target: {kind: ConfigMap, name: airflow}
    patch: '[{"op": "add", "path": "/data/RETRAIN_TRAINING_IMAGE", "value": "$training"}]'
END
kubectl apply -k "$folder/overlay"
[ -z "${RABBITMQ_METRICS:-}" ] || k patch configmap prometheus --patch "{\"data\": {\"rabbitmq.yaml\": \"[{targets: ['$RABBITMQ_METRICS']}]\"}}"
k rollout status --timeout=5m deployment/certificates
k wait --for=condition=complete --timeout=15m job/set-up
k rollout restart statefulset/faceserve deployment/mlflow deployment/exporter deployment/log-receiver
helm repo add apache-airflow https://airflow.apache.org >/dev/null
helm upgrade --install airflow apache-airflow/airflow --namespace retraining --values include/k8s/airflow/values.yaml --wait
# Where the values are as before nothing was started anew, and images may not be as before.
k get deployment,statefulset --selector release=airflow --output name | xargs -r kubectl --namespace retraining rollout restart
k get pods
echo "Airflow: kubectl --namespace retraining port-forward service/airflow-api-server 8080"
echo "its logins: kubectl --namespace retraining get secret airflow-logins -o go-template='{{index .data \"passwords.json\" | base64decode}}'"
echo "Grafana: kubectl --namespace retraining port-forward service/grafana 3000"
echo "its admin's password: kubectl --namespace retraining get secret grafana -o go-template='{{.data.GRAFANA_ADMIN_PASSWORD | base64decode}}'"
