// What a task finds in its environment about itself.

public enum TaskVariables {
    /// What the names begin with by which DistComp tells a task something itself.
    public static let ownPrefix = "DISTCOMP_"

    /// What DistComp tells it, and a command that is run when a job has ended, by names of its own: `distcomp`, started by one of them,
    /// must not take them for settings.
    public static let own: Set<String> = [
        "DISTCOMP_TASK", "DISTCOMP_ATTEMPT", "DISTCOMP_MEMORY_BYTES", "DISTCOMP_CORES", "DISTCOMP_OUTPUT_DIR",
        "DISTCOMP_CHECKPOINT_DIR", "DISTCOMP_DEADLINE", "DISTCOMP_JOB", "DISTCOMP_FINISHED", "DISTCOMP_FAILED",
        "DISTCOMP_TODO",
    ]

    /// What it has of a resource of its node: this, and the name in capital letters.
    public static let resourcePrefix = "DISTCOMP_RESOURCE_"

    /// Whether it is one of those.
    public static func isOwn(_ name: String) -> Bool { own.contains(name) || name.hasPrefix(resourcePrefix) }

    /// By which programs are told which GPUs they may use: of NVIDIA; of AMD, by the runtime and by what stands on it.
    public static let devices = ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"]

    /// The names by which programs are told how many threads to start: OpenMP (and nproc), OpenBLAS, MKL, NumExpr, Rayon (and
    /// Polars), Go, Julia, and Python from 3.13 (os.process_cpu_count).
    public static let threads = [
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS",
        "GOMAXPROCS", "JULIA_NUM_THREADS", "PYTHON_CPU_COUNT",
    ]
}
